"""A training that is told to stop: all ranks after the same step, saved so that it goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from lightning_utilities.core.imports import RequirementCache
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

from aevq.nn.distributed import all_reduce_max

if TYPE_CHECKING:
    from pathlib import Path

    from aevq.training.stop import Notice

__all__ = ["Preemption", "leave_signals_to_us"]

AGREE_EVERY = 10  # steps between two questions whether any rank was told to stop


class Preemption(Callback):
    """Stops a training whose process was given notice, and saves it.

    One process looks after each step. Of several any may have been given notice, and all must stop after the same
    step, or one of them waits for ever: every ten steps they agree by an all_reduce of one number.

    Args:
        notice: Of this process.
        path: The checkpoint that is written.
    """

    def __init__(self, notice: Notice, path: Path) -> None:
        self.notice = notice
        self.path = path
        self._steps = 0

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._steps = trainer.global_step

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        step = trainer.global_step
        if step == self._steps:  # gradients that are still being accumulated are in no checkpoint
            return
        self._steps = step
        if trainer.world_size > 1:
            if step % AGREE_EVERY:
                return
            told = torch.tensor(self.notice.received or 0, device=pl_module.device)
            self.notice.received = int(all_reduce_max(told)) or None
        if self.notice.received is not None:
            self.notice.obeyed = True
            _stop(trainer, True)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _stop(trainer, False)  # a validation that is due belongs to the step; Lightning would stop within it

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _stop(trainer, self.notice.obeyed)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self.notice.obeyed:
            trainer.save_checkpoint(self.path)


def _stop(trainer: pl.Trainer, whether: bool) -> None:
    """Let Lightning raise a SIGTERMException where a step is wholly done, and logged."""
    trainer._signal_connector.received_sigterm = whether


def leave_signals_to_us(trainer: pl.Trainer) -> None:
    """Keep Lightning's own handlers away.

    They communicate inside a signal handler, wherever the process is just then, and in its wake every step broadcasts
    a flag and waits for it (https://github.com/Lightning-AI/pytorch-lightning/pull/21640). Other versions than those
    that were looked at are left as they are.
    """
    if not RequirementCache("pytorch-lightning>=2.5,<2.7"):
        return
    loop: Any = trainer.fit_loop.epoch_loop
    if hasattr(loop, "_broadcast_sigterm_tensor"):
        loop._broadcast_sigterm_tensor = _nothing
    trainer._signal_connector.register_signal_handlers = _nothing  # type: ignore[method-assign]


def _nothing() -> None:
    """In place of a method."""
