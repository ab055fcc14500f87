"""Stacked MNIST: three digits as the red, green and blue channel of one image, 1,000 classes.

    x = [digit_a, digit_b, digit_c],  (3, 28, 28)          y = 100·a + 10·b + c

The stacks of each split are drawn, with replacement, from the digits of that split, so no split contains a digit of
another. The seed of the draw belongs to the data: all runs see the same stacks.

Source: Metz et al. 2017, "Unrolled generative adversarial networks", arXiv:1611.02163, section 3.3; evaluated on 26,000
samples by Srivastava et al. 2017, arXiv:1705.07761, and by Lin et al. 2018, arXiv:1712.04086.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import ImageShape, Name, NonNegativeInt, PositiveInt
from aevq.data.loader import mix
from aevq.data.mnist import MNISTDataModule
from aevq.data.splits import SPLIT_NAMES, Split, Splits
from aevq.ops.modes import classes_of, mode_of

__all__ = ["StackedMNISTDataModule", "stack_digits"]


class StackedMNISTDataModule(MNISTDataModule):
    """Stacks of three digits of MNIST, or of another data set of `MNISTDataModule`.

    Args:
        name: `stacked_` and the name of the data set of the digits.
        train_stacks: Images to train on.
        val_stacks: Images to validate on.
        test_stacks: Images to test on.
        stack_seed: Seed that selects the digits of each stack; it belongs to the data, not to the run.
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
    """Return splits whose images are stacks of digits of the same split.

    Args:
        digits: Images of one channel.
        sizes: Number of stacks of each split, by its name.
        channels: Digits per stack, drawn uniformly and independently.
        seed: Seed of the draw.
    """
    parts = []
    for number, split in enumerate(SPLIT_NAMES):
        generator = torch.Generator().manual_seed(mix(seed, number))
        rows = torch.randint(len(digits[split]), (sizes[split], channels), generator=generator)
        images = digits[split].images[rows].squeeze(2)  # (N, C, 1, H, W) → (N, C, H, W)
        parts.append(Split(images.contiguous(), mode_of(digits[split].labels[rows])))
    return Splits(*parts)
