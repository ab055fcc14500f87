"""Stops a training on request: all ranks after the same step, with a checkpoint from which it can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException
from typing_extensions import override

from aevq.nn.distributed import all_reduce_max
from aevq.training.lightning_internals import set_stop
from aevq.training.stop import StopRequest

__all__ = ["StopOnRequest"]

AGREE_EVERY = 10  # steps between two questions whether any rank was asked to stop


class StopOnRequest(Callback):
    """Stops and saves a training whose process was asked to stop.

    A single process looks after each step. Of several processes any may have been asked, and all have to stop after the
    same step, or some wait for ever: every ten steps they agree by one all_reduce.

    Args:
        stop: The request of this process.

    Attributes:
        path: The checkpoint that is written; to be set before the training starts.
    """

    path: Path

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop
        self._step = 0

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = trainer.global_step

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        step = trainer.global_step
        if step == self._step:  # gradients that are still being accumulated are in no checkpoint
            return
        self._step = step
        if trainer.world_size > 1:
            if step % AGREE_EVERY:
                return
            signum = torch.tensor(self.stop.signum or 0, device=pl_module.device)
            self.stop.signum = int(all_reduce_max(signum)) or None
        if self.stop.signum is not None:
            self.stop.accepted = True
            set_stop(trainer, True)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        set_stop(trainer, False)  # a validation that is due belongs to the step; Lightning would stop within it

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        set_stop(trainer, self.stop.accepted)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self.stop.accepted and isinstance(exception, SIGTERMException):
            trainer.save_checkpoint(self.path)
