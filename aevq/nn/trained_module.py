"""What models and trained priors share as LightningModules: means of their losses, clipping, and a last validation.

One `self.log` of Lightning costs more than one step of a small network. The loss terms of each step are added up on
their device instead, and read, averaged over the processes and logged once every `log_every_n_steps`.
"""

from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer
from typing_extensions import override

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


class TrainedModule(pl.LightningModule):
    """A LightningModule whose `training_step` adds its loss terms to `train_means`; the first is in the progress bar.

    Attributes:
        max_gradient_norm: Norm to which gradients are clipped unless the Trainer says another; None does not clip.
        train_prefix: Beginning of the names of the means in the logs.
    """

    max_gradient_norm: ClassVar[float | None] = None
    train_prefix: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.train_means = RunningMeans()

    def after_optimizer_step(self) -> None:
        """Do what a model does once after each optimizer step; by default nothing."""

    @property
    def scales_gradients(self) -> bool:
        """Whether the gradients are scaled while the Trainer computes them, as in float16.

        A fused optimizer unscales them by itself, which is too late for the clipping.
        """
        return getattr(self.trainer.precision_plugin, "scaler", None) is not None

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)  # once for all batches whose gradients are accumulated
        self.after_optimizer_step()
        trainer: Any = self.trainer  # Lightning sets some attributes untyped
        every = trainer.log_every_n_steps
        if every and (self.global_step + 1) % every == 0:
            means = {f"{self.train_prefix}{name}": value for name, value in self.train_means.pop().items()}
            self.log(*next(iter(means.items())), prog_bar=True, logger=False)
            for logger in self.loggers:
                logger.log_metrics(means, self.global_step)

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Lightning validates after `should_stop`, but not at `max_steps`; the last weights have to be validated.
        if self.global_step >= self.trainer.estimated_stepping_batches:
            self.trainer.should_stop = True

    @override
    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: Any = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        # Lightning refuses to clip for a fused optimizer under bfloat16 too, where nothing is scaled.
        largest = gradient_clip_val or self.max_gradient_norm
        if self.scales_gradients:
            self.clip_gradients(optimizer, largest, gradient_clip_algorithm)
        elif largest:
            clip = clip_grad_value_ if gradient_clip_algorithm == "value" else clip_grad_norm_
            clip(self.parameters(), largest)
