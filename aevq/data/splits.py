"""Train, validation and test split, drawn by a seed that belongs to the data and not to the run.

All runs of a comparison must see the same three splits, so the seed of a run does not enter, and a fingerprint of the
splits is stored with each result.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from aevq.errors import expect

SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Images, uint8 `(N, C, H, W)`, and their classes, int64 `(N,)`."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Tensor) -> "Split":
        """Return some of the images."""
        return Split(self.images[rows].contiguous(), self.labels[rows])


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set, which share no image."""

    train: Split
    val: Split
    test: Split

    def __getitem__(self, split: str) -> Split:
        expect(split in SPLIT_NAMES, "split", "train, val or test", split)
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def without(self, label: int | None) -> "Splits":
        """Remove a class, if any, from the train and the validation split; the test split keeps it."""
        if label is None:
            return self
        train, val = (part.take(part.labels != label) for part in (self.train, self.val))
        return Splits(train, val, self.test)


def split_off_validation(train: Split, test: Split, val_size: int, split_seed: int) -> Splits:
    """Draw `val_size` of the train images for validation; the test split stays."""
    expect(0 < val_size < len(train), "data.val_size", f"between 1 and {len(train) - 1}", val_size)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(split_seed))
    val, rest = order[:val_size].sort().values, order[val_size:].sort().values
    return Splits(train.take(rest), train.take(val), test)


def split_stratified(data: Split, val_per_class: int, test_per_class: int, split_seed: int) -> Splits:
    """Draw as many images of each class for validation and for test; the rest is for training."""
    generator = torch.Generator().manual_seed(split_seed)
    rows: dict[str, list[Tensor]] = {split: [] for split in SPLIT_NAMES}
    for label in data.labels.unique():
        own = (data.labels == label).nonzero().flatten()
        own = own[torch.randperm(len(own), generator=generator)]
        sizes = (len(own) - val_per_class - test_per_class, val_per_class, test_per_class)
        for split, part in zip(SPLIT_NAMES, own.split(sizes), strict=True):
            rows[split].append(part)
    return Splits(*(data.take(torch.cat(rows[split]).sort().values) for split in SPLIT_NAMES))


def fingerprint(splits: Splits) -> dict[str, str]:
    """Return the SHA-256 of each split over shape, images and labels, and of all three (`"all"`), as hex digits."""
    digests = {}
    for split in SPLIT_NAMES:
        part = splits[split]
        sha = hashlib.sha256(repr(tuple(part.images.shape)).encode())
        sha.update(part.images.cpu().contiguous().numpy().data)
        sha.update(part.labels.cpu().numpy().astype("<i8").data)
        digests[split] = sha.hexdigest()
    digests["all"] = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    return digests


def shuffled_rows(total: int) -> Tensor:
    """Return all row numbers below `total`: int64, in a random order that is always the same."""
    return torch.randperm(total, generator=torch.Generator().manual_seed(0))


def some_rows(n: int, total: int) -> Tensor:
    """Return `n` of `total` row numbers, or all if there are fewer: int64, ascending, random but always the same.

    The first `n` rows of a split that is sorted by class would be of a few classes.
    """
    return shuffled_rows(total)[:n].sort().values
