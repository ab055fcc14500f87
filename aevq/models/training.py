"""The steps in which every model is trained and validated, as hooks of a LightningModule.

Loss terms come per image; only this file averages them over the batch. The hooks that trained priors have too, such as
the one that logs means, are in `aevq.nn.trained_module`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from typing_extensions import override

from aevq.config.checks import ArgumentError, to_config
from aevq.nn.trained_module import TrainedModule
from aevq.ops.finite import check_finite

if TYPE_CHECKING:
    from aevq.models.base import LossTerms

MakeOptimizer = Callable[..., Optimizer]  # called with the parameters
MakeSchedule = Callable[..., LRScheduler]  # called with the optimizer and, if it has that argument, `total_steps`

ADAMW = partial(AdamW, lr=2e-3, betas=(0.9, 0.999), weight_decay=0.0, fused=True)


class TrainingSteps(TrainedModule):
    """Trains a model that has `loss_terms` and `reconstruct`; for its arguments see `LatentModel`."""

    train_prefix = "train/"
    loss_terms: Callable[[Tensor], LossTerms]
    reconstruct: Callable[[Tensor], Tensor]

    def __init__(self, optimizer: MakeOptimizer, schedule: MakeSchedule | None) -> None:
        super().__init__()
        self._make_optimizer, self._make_schedule = optimizer, schedule
        name, parameter = "optimizer", torch.nn.Parameter(torch.zeros(1))
        parameter.grad = torch.zeros(1)
        try:  # bad parts are reported now, not when the training begins or when it writes a checkpoint
            to_config(optimizer)
            tried = optimizer([parameter])
            tried.step()
            name = "schedule"
            to_config(schedule)
            if schedule is not None:
                _schedule(schedule, tried, 100)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(name, " ".join(str(error).split()), type(self).__name__) from error
        self._training_rng: Any = None

    @override
    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        terms = self.loss_terms(batch[0])
        self.train_means.add(self.global_step + 1, terms.means())
        return terms.objective.mean()

    @override
    def on_validation_epoch_start(self) -> None:
        # Every validation draws the same noise, and the training continues with its own afterwards.
        self._training_rng = torch.get_rng_state(), torch.cuda.get_rng_state_all()
        torch.manual_seed(0)

    @override
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        x = batch[0]
        means = self.loss_terms(x).means() | {"mse": (self.reconstruct(x) - x).square().mean()}
        values = dict(zip(means, torch.stack(list(means.values())).tolist(), strict=True))
        check_finite(values, f"training diverged by the validation at step {self.global_step}")
        self.log_dict({f"val/{name}": mean for name, mean in means.items()}, batch_size=len(x), sync_dist=True)

    @override
    def on_validation_epoch_end(self) -> None:
        cpu, cuda = self._training_rng
        torch.set_rng_state(cpu)
        torch.cuda.set_rng_state_all(cuda)

    @override
    def configure_optimizers(self) -> Any:
        parameters, make = [p for p in self.parameters() if p.requires_grad], self._make_optimizer
        optimizer = make(parameters)
        if optimizer.defaults.get("fused") and self.trainer.gradient_clip_val and self.scales_gradients:
            optimizer = make(parameters, fused=False)
        if self._make_schedule is None:
            return optimizer
        schedule = _schedule(self._make_schedule, optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _schedule(make: MakeSchedule, optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Return the schedule of an optimizer; not all classes of torch take the number of steps."""
    known = "total_steps" in inspect.signature(make).parameters
    made = make(optimizer, total_steps=total_steps) if known else make(optimizer)
    if isinstance(made, ReduceLROnPlateau) or not isinstance(made, LRScheduler):
        raise TypeError(f"should make a schedule over the steps, got {type(made).__name__}")
    return made
