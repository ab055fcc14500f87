"""Base of all data sets: images → splits → batches on the device of the trainer.

Batches are `(x, y)` with x float32 `(B, C, H, W)` in [0, 1] and y int64 `(B,)`.

A new data set is a subclass with the method `read`, and a yaml in `conf/data` that states its name, the shape of its
images and the number of classes; `docs/how-to/add-your-own.md` shows one.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Literal

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import ArgumentError, Configurable, ImageShape, Name, NonNegativeInt, PositiveInt, Seed
from aevq.data.binarize import BINARIZERS, bytes_sha256, to_unit
from aevq.data.loader import DeviceLoader
from aevq.data.splits import SPLIT_NAMES, Split, Splits, fingerprint, shuffled_rows, split_off_validation
from aevq.errors import expect


class ImageDataModule(Configurable, LightningDataModule, ABC):
    """A data set of images with classes, held in memory. A subclass implements `read`.

    Args:
        name: Name of the data set in results.
        image_shape: `(C, H, W)`; models are built for it.
        num_classes: Labels are below it; priors are built for it.
        val_size: Number of train images to validate on.
        split_seed: Seed that selects them. It belongs to the data: runs of any seed share the splits.
        batch_size: Images per training step and process. A last batch that is not full is left out.
        eval_batch_size: Images per validation or test step.
        binarize: `none`, `threshold` or `dynamic`, see `aevq.data.binarize`.
        leave_out: A class to remove from the train and validation splits, for anomaly detection; None keeps all.
        seed: Seed of the run; it sets the order of the training batches.

    Attributes:
        name: Name of the data really used, once they are read: a subclass may use a substitute.
        mnist_digits: Whether each channel is a digit of MNIST. Only these are compared in features of the feature net,
            which knows no other images.
    """

    mnist_digits: bool = False

    def __init__(
        self,
        name: Name,
        *,
        image_shape: ImageShape,
        num_classes: PositiveInt,
        val_size: PositiveInt = 5000,
        split_seed: NonNegativeInt = 0,
        batch_size: PositiveInt = 128,
        eval_batch_size: PositiveInt = 1000,
        binarize: Literal["none", "threshold", "dynamic"] = "none",
        leave_out: NonNegativeInt | None = None,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        self.name: str = name
        self.image_shape: tuple[int, ...] = tuple(image_shape)
        self.num_classes = num_classes
        self.val_size, self.split_seed, self.leave_out = val_size, split_seed, leave_out
        self.batch_size, self.eval_batch_size, self.seed = batch_size, eval_batch_size, seed
        self.binarize, self.binarizer = binarize, BINARIZERS[binarize]()
        self._frozen: dict[str, Tensor] = {}
        below = leave_out is None or leave_out < num_classes
        self.require(below, "leave_out", f"a class below {num_classes}", leave_out)

    @abstractmethod
    def read(self) -> tuple[Split, Split]:
        """Return train and test data, once: uint8 `(N, C, H, W)` or `(N, H, W)`, and integer labels `(N,)`."""

    def make_splits(self) -> Splits:
        """Return the three splits; by default the validation split is drawn from the train images."""
        train, test = self.read()
        train, test = self._checked(train, "train"), self._checked(test, "test")
        return split_off_validation(train, test, self.val_size, self.split_seed)

    def require(self, ok: bool, argument: str, expected: str, got: object) -> None:
        """Raise an ArgumentError that names an argument of the constructor if it is not `ok`."""
        if not ok:
            raise ArgumentError(argument, f"expected {expected}, got {got!r}", type(self).__name__)

    @cached_property
    def splits(self) -> Splits:
        """Train, validation and test split, uint8; read at the first access."""
        return self.make_splits().without(self.leave_out)

    def prepare(self) -> None:
        """Read the data, once; raise a UserError if they cannot be read or are not as stated."""
        _ = self.splits

    @override
    def setup(self, stage: str | None = None) -> None:
        self.prepare()

    @property
    def train_size(self) -> int:
        """Number of images to train on."""
        return len(self.splits.train)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images of each split."""
        return {split: len(self.splits[split]) for split in SPLIT_NAMES}

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of `train`, `val`, `test` and `all`, before binarization."""
        return fingerprint(self.splits)

    @cached_property
    def evaluated_sha256(self) -> dict[str, str]:
        """SHA-256 of the `val` and `test` images as evaluation sees them: after the fixed draw, if there is one."""
        return {split: bytes_sha256(self._evaluated(split)) for split in ("val", "test")}

    def images(self, split: str) -> Tensor:
        """Return a split's images as evaluation sees them, after a fixed draw: float32 `(N, C, H, W)`, on the CPU."""
        return to_unit(self._evaluated(split))

    def labels(self, split: str) -> Tensor:
        """Return the classes of the images of a split, int64 `(N,)`, on the CPU."""
        return self.splits[split].labels

    def digits(self, split: str) -> Tensor:
        """Return the classes that make up each label, int64 `(N, 1)`; of stacked digits one per channel, `(N, C)`."""
        return self.labels(split)[:, None]

    @override
    def train_dataloader(self) -> DeviceLoader:
        """Return shuffled full batches; their order and random draws depend on the seed of the run."""
        loader = self._loader("train", self.splits.train.images, training=True)
        fits = f"at most {len(self.splits.train) // loader.world_size} (train images per process)"
        expect(len(loader) > 0, "data.batch_size", fits, self.batch_size)
        return loader

    @override
    def val_dataloader(self) -> DeviceLoader:
        """Return the validation images in order, each once."""
        return self._loader("val", self._evaluated("val"))

    @override
    def test_dataloader(self) -> DeviceLoader:
        """Return the test images in order, each once."""
        return self._loader("test", self._evaluated("test"))

    def _checked(self, split: Split, part: str) -> Split:
        """Check what `read` returned, and convert it to the shapes and types of a split."""
        images, labels = split.images, split.labels
        images = images.unsqueeze(1) if images.ndim == 3 else images
        of_images, of_labels = (f"{self.name}: {part} {what}" for what in ("images", "labels"))
        shape, sizes = tuple(images.shape), ", ".join(map(str, self.image_shape))
        expect(images.dtype == torch.uint8, of_images, "uint8", images.dtype)
        expect(shape[1:] == self.image_shape, of_images, f"shape (N, {sizes})", shape)
        expect(tuple(labels.shape) == shape[:1], of_labels, f"shape ({shape[0]},)", tuple(labels.shape))
        expect(len(labels) > 0, of_images, "at least one", 0)
        low, high = int(labels.min()), int(labels.max())
        expect(low >= 0 and high < self.num_classes, of_labels, f"in [0, {self.num_classes})", (low, high))
        return Split(images.contiguous(), labels.long())

    def _evaluated(self, split: str) -> Tensor:
        if split not in self._frozen:
            self._frozen[split] = self.binarizer.freeze(self.splits[split].images, split)
        return self._frozen[split]

    def _loader(self, split: str, images: Tensor, training: bool = False) -> DeviceLoader:
        def as_floats(batch: tuple[Tensor, ...], seed: int) -> tuple[Tensor, ...]:
            x, y = batch
            return self.binarizer.batch(x, seed) if training else to_unit(x), y

        trainer, labels = self.trainer, self.labels(split)
        limit = getattr(trainer, "overfit_batches" if training else f"limit_{split}_batches", 0)
        if limit and (isinstance(limit, int) or limit < 1):  # the first batches of a sorted split lack classes
            rows = shuffled_rows(len(labels))
            images, labels = images[rows], labels[rows]
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        return DeviceLoader(
            (images.to(device), labels.to(device)),
            self.batch_size if training else self.eval_batch_size,
            seed=self.seed,
            shuffle=training and not getattr(trainer, "overfit_batches", 0),  # overfitting repeats a few images
            drop_last=training,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
            transform=as_floats,
        )
