"""Checkpoints from which a training goes on exactly, whichever step they were written after.

Lightning restores weights, optimizer and counters. It does not restore the random numbers of each process, what each
has added up since it was logged last, nor that a callback had told the training to stop. And its counters say where in
its loops a checkpoint was written, which it takes apart on resuming, wrongly in some places (after an epoch's last
batch it trains one more, or repeats an epoch). So a checkpoint here says the same in all places: so many steps are
wholly done, and so many batches of the epoch.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

from aevq.nn.distributed import gather_objects

__all__ = ["ExactResume"]

log = logging.getLogger("aevq")

EPOCHS, BATCHES = "epoch_progress", "epoch_loop.batch_progress"


@runtime_checkable
class HasRankState(Protocol):
    """A module that keeps something between two steps which is not the same in all processes."""

    def rank_state(self) -> dict[str, Any]:
        """Tensors on the CPU, and plain values."""

    def set_rank_state(self, state: dict[str, Any]) -> None:
        """Take back what `rank_state` gave."""


class ExactResume(Callback):
    """Puts into each checkpoint what Lightning leaves out, and brings it back."""

    def __init__(self) -> None:
        self._saved: dict[str, Any] = {}

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        early = trainer.should_stop and trainer.global_step < trainer.estimated_stepping_batches
        state: dict[str, Any] = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        if isinstance(pl_module, HasRankState):
            state["module"] = pl_module.rank_state()
        checkpoint["exact"] = {"ranks": gather_objects(state), "stop": early}
        _say_what_is_done(trainer, checkpoint["loops"]["fit_loop"])

    @override
    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._saved = checkpoint.get("exact", {})

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        saved, self._saved = self._saved, {}
        if not saved:
            return
        ranks = saved["ranks"]
        if len(ranks) != trainer.world_size:
            log.warning("resumed by %d processes, begun by %d: not exactly the same", trainer.world_size, len(ranks))
            return
        state = ranks[trainer.global_rank]
        torch.set_rng_state(state["cpu"])
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])
        if isinstance(pl_module, HasRankState):
            pl_module.set_rank_state(state["module"])
        trainer.should_stop = saved["stop"]


def _say_what_is_done(trainer: pl.Trainer, loops: dict[str, Any]) -> None:
    """Rewrite the counters as those of a training between two steps."""
    loaders, batches = loops["state_dict"].get("combined_loader"), loops[BATCHES]["total"]
    if not loaders or "position" not in loaders[0] or batches["completed"] != batches["ready"]:
        return  # another loader than ours, or a checkpoint of another callback, written within a step
    done, total = loaders[0]["position"], batches["processed"]
    epochs = loaders[0]["epoch"]
    if done >= trainer.num_training_batches:  # `limit_train_batches` ends an epoch before the loader does
        done, epochs = 0, epochs + 1
        loaders[0].update(epoch=epochs, position=0)
    begun = epochs + (done > 0)
    # Lightning ends an epoch that is cut short by the end of the training.
    ended = trainer.global_step >= trainer.estimated_stepping_batches
    if ended or (trainer.should_stop and trainer.fit_loop._can_stop_early):
        epochs = begun
    for part in ("total", "current"):
        loops[EPOCHS][part] = {"ready": begun, "started": begun, "processed": epochs, "completed": epochs}
        count = total if part == "total" else done
        loops[BATCHES][part] = dict.fromkeys(("ready", "started", "processed", "completed"), count)
    loops[BATCHES]["is_last_batch"] = False
    # Where a validation is due after `total` batches, Lightning passes it over and counts the step for its loggers.
    passed_over = _validation_is_due(trainer, total, done)
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = trainer.global_step - passed_over


def _validation_is_due(trainer: pl.Trainer, total: int, done: int) -> bool:
    every, epochs = trainer.val_check_batch, trainer.check_val_every_n_epoch
    if not trainer.enable_validation or every in (None, float("inf")):
        return False
    return (total if epochs is None else done) % every == 0
