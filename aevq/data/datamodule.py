"""One MNIST for every model: files → splits → batches on the trainer's device.

Batches are `(x float32 (B, C, H, W) in [0, 1], y int64 (B,))`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import torch
from annotated_types import Ge, Lt, Predicate
from pytorch_lightning import LightningDataModule

from aevq.config.schema import Count, ImageShape, Name, Positive, Says, Seed, Text, Whole, checked
from aevq.data.binarize import BINARIZERS, bytes_sha256, to_unit
from aevq.data.embedded import DIGIT_SETS, EMBEDDED_NAME, EMBEDDED_SHAPE, EMBEDDED_TRAIN_SIZE, splits_or_embedded
from aevq.data.files import ROLES, DataFile
from aevq.data.loader import DeviceLoader
from aevq.data.sources import NUM_CLASSES, Source
from aevq.data.splits import SPLIT_NAMES, Splits, fingerprint
from aevq.errors import UserError, expect
from aevq.ops.modes import classes_of

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.data.chunks import Chunking
    from aevq.data.loader import Transform

__all__ = ["MNISTDataModule"]


def _is_mirror(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc


Mirrors = Annotated[
    Sequence[Annotated[str, Predicate(_is_mirror)]], Says("a list of https:// addresses without a name or password")
]
Label = Annotated[int, Ge(0), Lt(NUM_CLASSES), Says(f"a class below {NUM_CLASSES}")]


@checked("data")
class MNISTDataModule(LightningDataModule):
    """MNIST, or a data set of the same four-file layout.

    Args:
        name: Of the data set, as results state it.
        root: Folder that holds data sets.
        folder: The data set's own folder in it; files are looked for in `<root>/<folder>/raw`,
            `<root>/<folder>` and `<root>`.
        files: `train_images, train_labels, test_images, test_labels`, each `{name, shape, sha256,
            sha256_gz}`; or nothing, and the data set is the 5,000 embedded MNIST images.
        mirrors: Base addresses to fetch `<name>.gz` from, https, in order.
        timeout: Seconds a mirror may be silent.
        fallback: Where no mirror answers: `embedded` (5,000 MNIST images, with a warning) or `error`.
        val_size: Train images to validate on (the embedded images have splits of their own: 4,000/500/500).
        split_seed: Says which; belongs to the data, not to the run.
        batch_size: Images a training step and process. A last batch that is not full is left out.
        eval_batch_size: Images a validation or test step.
        binarize: `none`, `threshold` or `dynamic` (see `aevq.data.binarize`).
        seed: The run's seed: orders the training batches.
        leave_out: A class that the train and validation splits go without, for anomaly detection; None keeps all.
        image_shape: `(C, H, W)`, stated for models to be built by; None states nothing.
        num_classes: Number of classes, stated for priors to be built by; None states nothing.

    Attributes:
        name: Of the data really used, from `prepare` on: `mnist5k` where the embedded images stand in.
        requested_name: The name asked for.
        image_shape: `(C, H, W)`.
        num_classes: Labels are below it.
        chunking: How many batches of the train split one training step of Lightning gets; None is one.

    Raises:
        UserError: If an argument is bad. Nothing is read before `prepare`.
    """

    CHANNELS = 1  # digits an image
    STAND_IN = EMBEDDED_NAME

    def __init__(
        self,
        *,
        name: Name,
        root: Text,
        folder: Name,
        files: Mapping[str, Mapping[str, Any]],
        mirrors: Mirrors,
        timeout: Positive,
        fallback: Literal["embedded", "error"],
        val_size: Count,
        split_seed: Whole,
        batch_size: Count,
        eval_batch_size: Count,
        binarize: Literal["none", "threshold", "dynamic"],
        seed: Seed,
        leave_out: Label | None = None,  # run folders older than it, or than what follows, have none
        image_shape: ImageShape | None = None,
        num_classes: Count | None = None,
    ) -> None:
        super().__init__()
        digits = fallback == "error" or name in DIGIT_SETS
        expect(digits, "data.fallback", f"error for {name}, because the embedded images are MNIST's", fallback)

        self.name: str = name
        self.requested_name = name
        self.val_size, self.split_seed, self.fallback = val_size, split_seed, fallback
        self.leave_out = leave_out
        self.batch_size, self.eval_batch_size, self.seed = batch_size, eval_batch_size, seed
        self.binarizer = BINARIZERS[binarize]()
        self.source = _source(name, root, folder, files, tuple(mirrors), timeout)
        expect(self.source is not None or fallback == "embedded", "data.files", "four files", files)
        shape = self.source.files["train_images"].shape[1:] if self.source else EMBEDDED_SHAPE
        self.image_shape: tuple[int, ...] = (self.CHANNELS, *shape)
        self.num_classes = NUM_CLASSES**self.CHANNELS
        same = image_shape is None or tuple(image_shape) == self.image_shape
        expect(same, "data.image_shape", f"{list(self.image_shape)}, as the files have it", image_shape)
        expect(num_classes in (None, self.num_classes), "data.num_classes", str(self.num_classes), num_classes)
        self.chunking: Chunking | None = None
        self._frozen: dict[str, Tensor] = {}

    def prepare(self) -> None:
        """Get the data: from the disk, a mirror, or the embedded images. Again is nothing.

        Raises:
            UserError: If they cannot be had, or are not what they should be.
        """
        _ = self.splits

    def setup(self, stage: str | None = None) -> None:
        """Lightning's hook: `prepare`."""
        self.prepare()

    @cached_property
    def splits(self) -> Splits:
        """Train, val and test, in bytes; got at the first access."""
        splits = self._read()
        self.name = splits.name
        return splits if self.leave_out is None else splits.without(self.leave_out)

    def _read(self) -> Splits:
        return splits_or_embedded(self.source, self.fallback, self.val_size, self.split_seed, self.STAND_IN)

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of `train`, `val`, `test` and `all`, before any binarisation."""
        return fingerprint(self.splits)

    @property
    def train_size(self) -> int:
        """Images that the configuration leaves to train on, known before anything is read; negative where too few."""
        return self.source.files["train_images"].shape[0] - self.val_size if self.source else EMBEDDED_TRAIN_SIZE

    @property
    def sizes(self) -> dict[str, int]:
        """Images in each split."""
        return {split: len(self.splits[split]) for split in SPLIT_NAMES}

    @cached_property
    def evaluated_sha256(self) -> dict[str, str]:
        """SHA-256 of the `val` and `test` images as evaluation sees them: after the fixed draw, if any."""
        return {split: bytes_sha256(self._evaluated(split)) for split in ("val", "test")}

    def images(self, split: str) -> Tensor:
        """All images of a split as evaluation sees them: float32 `(N, C, H, W)` in [0, 1], on the CPU.

        With `binarize: dynamic` this is the fixed draw.
        """
        return to_unit(self._evaluated(split))

    def labels(self, split: str) -> Tensor:
        """Their classes, int64 `(N,)`, on the CPU."""
        return self.splits[split].labels

    def digits(self, split: str) -> Tensor:
        """The class of each channel, int64 `(N, C)` in [0, 10), on the CPU."""
        return classes_of(self.labels(split), self.CHANNELS)

    def train_dataloader(self) -> DeviceLoader:
        """Shuffled full batches, the order and any drawing by the run's seed.

        Raises:
            UserError: If the train split does not fill one batch.
        """
        loader = self._loader("train", self.splits.train.images, self.batch_size, self._draw, training=True)
        fits = f"at most {len(self.splits.train) // loader.world_size} (train images a process)"
        expect(len(loader) > 0, "data.batch_size", fits, self.batch_size)
        return loader

    def val_dataloader(self) -> DeviceLoader:
        """The validation images in order, each once."""
        return self._loader("val", self._evaluated("val"), self.eval_batch_size, _as_unit)

    def test_dataloader(self) -> DeviceLoader:
        """The test images in order, each once."""
        return self._loader("test", self._evaluated("test"), self.eval_batch_size, _as_unit)

    def _evaluated(self, split: str) -> Tensor:
        if split not in self._frozen:
            self._frozen[split] = self.binarizer.freeze(self.splits[split].images, split)
        return self._frozen[split]

    def _draw(self, batch: tuple[Tensor, ...], seed: int) -> tuple[Tensor, ...]:
        images, labels = batch
        return self.binarizer.batch(images, seed), labels

    def _loader(
        self, split: str, images: Tensor, batch_size: int, transform: Transform, training: bool = False
    ) -> DeviceLoader:
        trainer = self.trainer
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        return DeviceLoader(
            (images.to(device), self.labels(split).to(device)),
            batch_size,
            seed=self.seed,
            shuffle=training and not getattr(trainer, "overfit_batches", 0),  # overfitting repeats a few images
            drop_last=training,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
            transform=transform,
            chunking=self.chunking if training else None,
        )


def _as_unit(batch: tuple[Tensor, ...], seed: int) -> tuple[Tensor, ...]:
    images, labels = batch
    return to_unit(images), labels


def _source(
    name: str,
    root: str,
    folder: str,
    files: Mapping[str, Mapping[str, Any]],
    mirrors: tuple[str, ...],
    timeout: float,
) -> Source | None:
    if not files:
        return None
    expect(set(files) == set(ROLES), "data.files", f"the keys {', '.join(ROLES)}", sorted(files))
    known = {role: DataFile.from_config(role, files[role]) for role in ROLES}
    for role, file in known.items():
        if mirrors and not file.verifiable(gzipped=True):
            raise UserError(f"data.files.{role}: expected sha256 or sha256_gz where there are mirrors, got neither")
    sides = {role: known[role].shape[1:] for role in ("train_images", "test_images")}
    expect(len(set(sides.values())) == 1, "data.files", "train and test images of one size", sides)
    return Source(name, Path(root).expanduser(), folder, known, mirrors, float(timeout))
