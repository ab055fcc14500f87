"""Learning rate schedules over the optimizer steps of one training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch.optim.lr_scheduler import LambdaLR

from aevq.config.schema import Fraction, Probability, checked
from aevq.ops.schedule import warmup_cosine_factor

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["WarmupCosine"]


@checked("model.schedule")
class WarmupCosine:
    """Builds the schedule `warmup_cosine_factor` for an optimizer.

    Args:
        warmup: Part of the steps spent on the way up, in [0, 1).
        final: Factor on the learning rate at the end, in [0, 1].
    """

    def __init__(self, warmup: Probability, final: Fraction) -> None:
        self.warmup = warmup
        self.final = final

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        """The schedule of `optimizer` over `total_steps` optimizer steps."""
        factor = partial(warmup_cosine_factor, total_steps=total_steps, warmup=self.warmup, final=self.final)
        return LambdaLR(optimizer, lambda step: factor(step))
