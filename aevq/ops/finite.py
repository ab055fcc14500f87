"""A training whose loss is no number any more: noticed at that step, and never saved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from aevq.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["Diverged", "Watch", "expect_finite", "expect_finite_weights", "last_good"]


class Diverged(UserError):
    """A loss or a weight is NaN or infinite."""


class Watch:
    """Looks at the loss terms of each step.

    On a CPU at once, so that the optimizer never sees the step. For an accelerator one would have to wait at each
    step: there the terms are kept and looked at by `settle`, which names the first bad step all the same.

    Args:
        names: Of the terms, in the order of their values.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = tuple(names)
        self._kept: list[tuple[int, Tensor]] = []

    def see(self, step: int, values: Tensor) -> None:
        """Look at the terms of a step, `(T,)`, or keep them.

        Raises:
            Diverged: If one is not finite.
        """
        self._kept.append((step, values))
        if values.device.type == "cpu":
            self.settle()

    def settle(self) -> None:
        """Look at what was kept.

        Raises:
            Diverged: If a term was not finite.
        """
        kept, self._kept = self._kept, []
        for step, values in kept:
            expect_finite(zip(self.names, values.tolist(), strict=True), f"training diverged at step {step}")


def expect_finite(terms: Iterable[tuple[str, float]], what: str) -> None:
    """Check numbers with their names.

    Raises:
        Diverged: If one is NaN or infinite; it begins with `what` and names them.
    """
    if bad := [f"{name} is {value}" for name, value in terms if not math.isfinite(value)]:
        raise Diverged(f"{what}: {', '.join(bad)}")


def expect_finite_weights(state_dict: Mapping[str, Any], step: int) -> None:
    """Check what is about to be saved.

    Raises:
        Diverged: If a weight is NaN or infinite.
    """
    for name, tensor in state_dict.items():
        if torch.is_tensor(tensor) and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise Diverged(f"training diverged at step {step}: the weight {name} is not finite, so nothing was saved")


def last_good(checkpoint: Path, read: Any) -> str:
    """Which checkpoint there is to go on from, in words.

    Args:
        checkpoint: The last that was written, if any.
        read: Reads it.
    """
    if not checkpoint.is_file():
        return "there is no checkpoint yet"
    return f"the last good checkpoint is {checkpoint}, of step {read(checkpoint)['global_step']}"
