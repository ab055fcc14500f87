"""Train, validation and test, by a seed that belongs to the data and not to the run.

Every run of a comparison must see the same three sets, so the split knows nothing of the run's seed, and a
fingerprint of its bytes goes into the record.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aevq.errors import expect

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SPLIT_NAMES", "Split", "Splits", "fingerprint", "some_rows", "split_official", "split_stratified"]

SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Images uint8 `(N, C, H, W)` and their classes int64 `(N,)`."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def without(self, label: int) -> Split:
        """The images of the other classes."""
        kept = self.labels != label
        return Split(self.images[kept], self.labels[kept])


@dataclass(frozen=True)
class Splits:
    """A data set: its name, as results state it, and its three parts, which share no image."""

    name: str
    train: Split
    val: Split
    test: Split

    def __getitem__(self, split: str) -> Split:
        expect(split in SPLIT_NAMES, "split", "train, val or test", split)
        part: Split = getattr(self, split)
        return part

    def without(self, label: int) -> Splits:
        """The same, but train and validation have no image of this class; the test set keeps its own."""
        return replace(self, train=self.train.without(label), val=self.val.without(label))


def _take(images: Tensor, labels: Tensor, rows: Tensor | slice) -> Split:
    """Rows of images `(N, H, W)` and labels, uint8, as a split."""
    return Split(images[rows].unsqueeze(1).contiguous(), labels[rows].long())


def split_official(name: str, tensors: Mapping[str, Tensor], val_size: int, split_seed: int) -> Splits:
    """The official test set, and for validation `val_size` train images drawn by `split_seed`.

    Args:
        name: Of the data set.
        tensors: uint8 `train_images (N, H, W)`, `train_labels (N,)`, `test_images`, `test_labels`.
        val_size: Images to validate on.
        split_seed: Says which.

    Raises:
        UserError: If nothing would be left to train on.
    """
    images, labels = tensors["train_images"], tensors["train_labels"]
    expect(0 < val_size < len(images), "data.val_size", f"between 1 and {len(images) - 1}", val_size)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(split_seed))
    val, train = order[:val_size].sort().values, order[val_size:].sort().values
    test = _take(tensors["test_images"], tensors["test_labels"], slice(None))
    return Splits(name, _take(images, labels, train), _take(images, labels, val), test)


def split_stratified(name: str, images: Tensor, labels: Tensor, per_class: int, split_seed: int) -> Splits:
    """`per_class` images of each class for validation, as many for test, the rest for training.

    Args:
        name: Of the data set.
        images: uint8 `(N, H, W)`.
        labels: uint8 `(N,)`.
        per_class: Images of a class in the validation set, and in the test set.
        split_seed: Says which.
    """
    generator = torch.Generator().manual_seed(split_seed)
    rows: dict[str, list[Tensor]] = {split: [] for split in SPLIT_NAMES}
    for label in labels.unique():
        mine = (labels == label).nonzero().flatten()
        mine = mine[torch.randperm(len(mine), generator=generator)]
        sizes = (len(mine) - 2 * per_class, per_class, per_class)
        for split, part in zip(SPLIT_NAMES, mine.split(sizes), strict=True):
            rows[split].append(part)
    return Splits(name, *(_take(images, labels, torch.cat(rows[split]).sort().values) for split in SPLIT_NAMES))


def fingerprint(splits: Splits) -> dict[str, str]:
    """SHA-256 of each split over shape, images and labels, and of all three (`"all"`), as hex digits."""
    digests = {}
    for split in SPLIT_NAMES:
        part = splits[split]
        sha = hashlib.sha256(repr(tuple(part.images.shape)).encode())
        sha.update(part.images.cpu().contiguous().numpy().data)
        sha.update(part.labels.cpu().numpy().astype("<i8").data)
        digests[split] = sha.hexdigest()
    digests["all"] = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    return digests


def some_rows(n: int, total: int) -> Tensor:
    """Rows of `n` images of `total`, or all where there are fewer: int64, ascending, always the same.

    Not the first n: where a split is sorted these would be of few classes.
    """
    return torch.randperm(total, generator=torch.Generator().manual_seed(0))[:n].sort().values
