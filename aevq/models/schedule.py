"""Learning rate schedules over the optimizer steps of one training."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from torch.optim.lr_scheduler import LambdaLR

from aevq.errors import expect

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["WarmupCosine", "warmup_cosine_factor"]


def warmup_cosine_factor(step: int, total_steps: int, warmup: float, final: float) -> float:
    """Factor on the learning rate: linear from 0 to 1, then half a cosine from 1 to `final`.

    Args:
        step: Optimizer steps done.
        total_steps: Steps of the whole training.
        warmup: Part of the steps spent on the way up, in [0, 1).
        final: Factor at the end.

    Returns:
        In (0, 1].
    """
    warmup_steps = warmup * total_steps
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min(1.0, (step - warmup_steps) / max(1.0, total_steps - warmup_steps))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))


class WarmupCosine:
    """Builds the schedule `warmup_cosine_factor` for an optimizer.

    Args:
        warmup: Part of the steps spent on the way up, in [0, 1).
        final: Factor on the learning rate at the end, in [0, 1].
    """

    def __init__(self, warmup: float, final: float) -> None:
        expect(0 <= warmup < 1, "model.schedule.warmup", "a number in [0, 1)", warmup)
        expect(0 <= final <= 1, "model.schedule.final", "a number in [0, 1]", final)
        self.warmup = warmup
        self.final = final

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        factor = partial(warmup_cosine_factor, total_steps=total_steps, warmup=self.warmup, final=self.final)
        return LambdaLR(optimizer, lambda step: factor(step))
