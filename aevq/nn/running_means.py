"""Means of loss terms over training steps, without a `self.log` at every step.

One `self.log` of Lightning costs more than one step of a small network. The terms of each step are added up on their
device instead, and read, averaged over the processes and logged once every `log_every_n_steps`.
"""

from typing import Any

import torch
from torch import Tensor

from aevq.nn.distributed import all_reduce_sum, world_size
from aevq.ops.finite import FiniteCheck


class RunningMeans:
    """Adds up named scalars step by step."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        self._steps = 0
        self._names: tuple[str, ...] = ()
        self._check = FiniteCheck()

    def add(self, step: int, values: dict[str, Tensor]) -> None:
        """Add the values of a step, `()` each, with the same names at every step. Steps are counted from 1.

        Raises:
            Diverged: If a value is not finite. On an accelerator `pop` raises it.
        """
        self._names, stacked = tuple(values), torch.stack([value.detach() for value in values.values()])
        self._sums = stacked if self._sums is None else self._sums + stacked
        self._steps += 1
        self._check.add(step, self._names, stacked)

    def pop(self) -> dict[str, float]:
        """Return the means since the last call, over all processes, which have to call it at the same step."""
        assert self._sums is not None
        self._check.flush()
        means = all_reduce_sum(self._sums / self._steps) / world_size()
        self._sums, self._steps = None, 0
        return dict(zip(self._names, means.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return what was added up, on the CPU."""
        return {"sums": None if self._sums is None else self._sums.cpu(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Continue from what `state_dict` returned."""
        self._sums = None if state["sums"] is None else state["sums"].to(device)
        self._steps = state["steps"]
