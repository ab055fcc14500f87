"""Stacked MNIST: three digits as the red, green and blue channel of one image, 1,000 classes.

    x = [digit_a, digit_b, digit_c],  (3, 28, 28)          y = 100·a + 10·b + c

Each split's stacks are drawn, with replacement, from that split's own digits: none has a digit of another split in it.
Which ones, a seed says that belongs to the data, so every run sees the same stacks.

Source: Metz et al. 2017, "Unrolled generative adversarial networks", arXiv:1611.02163, section 3.3; evaluated on 26,000
samples by Srivastava et al. 2017, arXiv:1705.07761, and by Lin et al. 2018, arXiv:1712.04086.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from typing_extensions import override

from aevq.config.schema import Count, Name, Whole, checked
from aevq.data.datamodule import MNISTDataModule
from aevq.data.embedded import EMBEDDED_NAME
from aevq.data.seeding import mix
from aevq.data.splits import SPLIT_NAMES, Split, Splits
from aevq.errors import expect
from aevq.ops.modes import mode_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StackedMNISTDataModule", "stack_digits"]

PREFIX = "stacked_"


@checked("data")
class StackedMNISTDataModule(MNISTDataModule):
    """MNIST's digits, three to an image.

    Args:
        name: Of the data set, as results state it; it begins with `stacked_`.
        train_stacks: Images to train on.
        val_stacks: Images to validate on.
        test_stacks: Images to test on.
        stack_seed: Says which digits meet; belongs to the data, not to the run.
        leave_out: None: of 1,000 classes no single one is left out.
        **digits: Where the digits come from and how they are split; see `MNISTDataModule`.

    Raises:
        UserError: If an argument is bad. Nothing is read before `prepare`.
    """

    CHANNELS = 3
    STAND_IN = PREFIX + EMBEDDED_NAME

    def __init__(
        self,
        *,
        name: Name,
        train_stacks: Count,
        val_stacks: Count,
        test_stacks: Count,
        stack_seed: Whole,
        leave_out: None = None,
        **digits: Any,
    ) -> None:
        expect(name.startswith(PREFIX), "data.name", f"a name that begins with {PREFIX}", name)
        expect(leave_out is None, "data.leave_out", "null, because a stack has three digits", leave_out)
        super().__init__(name=name, **digits)
        self.stacks = dict(zip(SPLIT_NAMES, (train_stacks, val_stacks, test_stacks), strict=True))
        self.stack_seed = stack_seed

    @property
    @override
    def train_size(self) -> int:
        """Stacks to train on; negative where too few digits would be left to stack."""
        digits = super().train_size
        return self.stacks["train"] if digits > 0 else digits

    @override
    def _read(self) -> Splits:
        return stack_digits(super()._read(), self.stacks, self.CHANNELS, self.stack_seed)


def stack_digits(digits: Splits, sizes: Mapping[str, int], channels: int, seed: int) -> Splits:
    """Splits whose images are stacks of digits of the same split.

    Args:
        digits: Of one channel.
        sizes: Stacks of each split, by its name.
        channels: Digits a stack.
        seed: Says which digits meet, drawn uniformly and independently.
    """
    parts = []
    for number, split in enumerate(SPLIT_NAMES):
        generator = torch.Generator().manual_seed(mix(seed, number))
        rows = torch.randint(len(digits[split]), (sizes[split], channels), generator=generator)
        images = digits[split].images[rows].squeeze(2)  # (N, C, 1, H, W) of single channels
        parts.append(Split(images.contiguous(), mode_of(digits[split].labels[rows])))
    return Splits(digits.name, *parts)
