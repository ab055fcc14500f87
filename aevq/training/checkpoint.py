"""Checkpoints that can be moved, that are complete, that hold only finite weights, and that resume exactly.

Lightning restores weights, optimizer and counters. It does not restore the random numbers of each process, its sums of
loss terms since the last log, and an early stop by a callback. Its counters also record the position in its loops, and
from some positions it resumes incorrectly: after an epoch's last batch it trains one more, or repeats an epoch. So the
counters are rewritten to say the same everywhere: this many steps are complete, and this many batches of the epoch.
"""

import io
import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from typing_extensions import override

from aevq.errors import UserError, expect
from aevq.files import atomic_write, load_plain
from aevq.nn.distributed import all_reduce_max, gather_objects
from aevq.nn.trained_module import TrainedModule
from aevq.ops.finite import check_finite_weights
from aevq.training.lightning_internals import accumulating, can_stop_early, set_stop
from aevq.training.stop import StopRequest

log = logging.getLogger("aevq")

EPOCHS, BATCHES = "epoch_progress", "epoch_loop.batch_progress"
# What a checkpoint with wrong values provokes where it is restored.
WRONG_CONTENT = (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError, OverflowError)
AGREE_EVERY = 10  # steps between two questions whether any rank was asked to stop


class Checkpoint(ModelCheckpoint):
    """Lightning's callback for folders that are moved and shared: paths in its state mean files of its own folder.

    Lightning would forget which checkpoint was the best, and delete the file that a foreign checkpoint names.
    """

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        here = Path(str(self.dirpath))
        moved = state_dict | {
            name: str(here / Path(path).name) if path else ""
            for name in ("best_model_path", "kth_best_model_path", "last_model_path")
            if isinstance(path := state_dict.get(name), str)
        }
        best = {str(here / Path(path).name): score for path, score in state_dict.get("best_k_models", {}).items()}
        super().load_state_dict(moved | {"dirpath": self.dirpath, "best_k_models": best})


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint as a whole or not at all, and reads tensors and plain values only.

    A process that is killed while it saves leaves the previous checkpoint as it was.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, content.getvalue())

    @override
    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        checkpoint = load_plain(Path(path), map_location)
        _check_types(checkpoint, {"loops": {"fit_loop": {}}, "callbacks": {}, "exact": {}}, str(path))
        return checkpoint


class ExactResume(Callback):
    """Adds to each checkpoint what Lightning leaves out, and restores it; the means of a `TrainedModule` too.

    It also adds the plain values `content`, and refuses weights that are not finite.
    """

    def __init__(self, content: dict[str, Any] | None = None) -> None:
        self._content, self._saved, self._started = content or {}, dict[str, Any](), False

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        check_finite_weights(pl_module, trainer.global_step)
        checkpoint.update(self._content)
        early = trainer.should_stop and trainer.global_step < trainer.estimated_stepping_batches
        state: dict[str, Any] = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        if isinstance(pl_module, TrainedModule):
            state["means"] = pl_module.train_means.state_dict()
        checkpoint["exact"] = {"ranks": gather_objects(state), "stop": early}
        _set_counters(trainer, checkpoint["loops"]["fit_loop"])

    @override
    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        untyped: Any = trainer
        own = {callback.state_key: callback.state_dict() for callback in untyped.callbacks}
        expected = {"loops": {"fit_loop": trainer.fit_loop.state_dict()}, "callbacks": own}
        _check_types(checkpoint, expected, str(trainer.ckpt_path))
        self._saved = checkpoint.get("exact", {})

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # Lightning restores what a checkpoint says as it is.
        wrong = isinstance(exception, WRONG_CONTENT) and not isinstance(exception, UserError)
        if wrong and trainer.ckpt_path and not self._started:
            reason = " ".join(f"{type(exception).__name__}: {exception}".split())
            raise UserError(f"{trainer.ckpt_path}: not a checkpoint of this training ({reason})") from exception

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restore(trainer, pl_module)
        for schedule in (config.scheduler for config in trainer.lr_scheduler_configs):
            steps = getattr(schedule, "total_steps", trainer.estimated_stepping_batches)  # its own, from the checkpoint
            wanted = f"{steps} steps, for which {type(schedule).__name__} was made"
            expect(steps == trainer.estimated_stepping_batches, "trainer.max_steps", wanted, trainer.max_steps)
        self._started = True

    def _restore(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        saved, self._saved = self._saved, {}
        if not saved:
            return
        ranks = saved["ranks"]
        if len(ranks) != trainer.world_size:
            log.warning("resumed with %d processes instead of %d: not an exact resume", trainer.world_size, len(ranks))
            return
        state = ranks[trainer.global_rank]
        torch.set_rng_state(state["cpu"])
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])
        if isinstance(pl_module, TrainedModule):
            pl_module.train_means.load_state_dict(state["means"], pl_module.device)
        trainer.should_stop = saved["stop"]


def _check_types(found: Any, expected: Any, name: str) -> None:
    """Raise a UserError unless values are of the types of those that this training has; None has no type."""
    kind = int | float if isinstance(expected, int | float) else type(expected)
    if expected is not None and not isinstance(found, kind):
        raise UserError(f"{name}: expected {getattr(kind, '__name__', 'a number')}, got {type(found).__name__}")
    if isinstance(expected, dict):
        for key in expected.keys() & found.keys():
            _check_types(found[key], expected[key], f"{name}: {key}")


def _set_counters(trainer: pl.Trainer, loops: dict[str, Any]) -> None:
    """Rewrite the counters as those of a training between two steps."""
    loaders, batches = loops["state_dict"].get("combined_loader"), loops[BATCHES]["total"]
    if not loaders or "position" not in loaders[0] or batches["completed"] != batches["ready"]:
        return  # another loader than ours, or a checkpoint that another callback writes within a step
    done, total, epochs = loaders[0]["position"], batches["processed"], loaders[0]["epoch"]
    if done >= trainer.num_training_batches:  # `limit_train_batches` ends an epoch before the loader does
        done, epochs = 0, epochs + 1
        loaders[0].update(epoch=epochs, position=0)
    started = epochs + (done > 0)
    # Lightning counts an epoch as complete that the end of the training cuts short.
    ended = trainer.global_step >= trainer.estimated_stepping_batches
    if ended or (trainer.should_stop and can_stop_early(trainer)):
        epochs = started
    for part in ("total", "current"):
        loops[EPOCHS][part] = {"ready": started, "started": started, "processed": epochs, "completed": epochs}
        count = total if part == "total" else done
        loops[BATCHES][part] = dict.fromkeys(("ready", "started", "processed", "completed"), count)
    loops[BATCHES]["is_last_batch"] = False
    # Where a validation is due after `total` batches, Lightning skips it on resuming and counts the step for loggers.
    every, batches = trainer.val_check_batch, total if trainer.check_val_every_n_epoch is None else done
    skipped = trainer.enable_validation and every not in (None, float("inf")) and batches % every == 0
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = trainer.global_step - skipped


class StopOnRequest(Callback):
    """Stops and saves a training whose process was asked to stop.

    A single process looks after each step. Of several processes any may have been asked, and all have to stop after the
    same step, or some wait for ever: every ten steps they agree by one all_reduce.
    """

    path: Path  # the checkpoint that is written; to be set before the training starts

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        if accumulating(trainer):  # these gradients are in no checkpoint
            return
        if trainer.world_size > 1:
            if trainer.global_step % AGREE_EVERY:
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
        # Lightning's SIGTERMException, or what a callback makes of an epoch that ends early; no step is half done.
        if self.stop.accepted:
            trainer.save_checkpoint(self.path)
            self.stop.saved = True
        elif isinstance(exception, MisconfigurationException) or "stopping conditioned on metric" in str(exception):
            raise UserError(f"trainer: {' '.join(str(exception).split())}") from exception  # of a callback
