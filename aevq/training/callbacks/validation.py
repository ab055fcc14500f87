"""When to validate, counted in optimizer steps."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

from aevq.ops.schedule import passed

__all__ = ["ValidateEvery"]

NEVER = 2**62  # batches; infinity would mean the end of each epoch to Lightning


class ValidateEvery(Callback):
    """Validates where a multiple of so many optimizer steps is reached.

    Lightning counts the batches that it brings, of which one may hold several steps (`aevq.data.chunks`).

    Args:
        steps: Between two validations.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._done = 0

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._done = trainer.global_step
        self._set(trainer, due=trainer.global_step > 0 and trainer.global_step % self.steps == 0)

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self._set(trainer, due=passed(self.steps, self._done, trainer.global_step))
        self._done = trainer.global_step

    def _set(self, trainer: pl.Trainer, due: bool) -> None:
        trainer.val_check_batch = 1 if due else NEVER
