"""Lightning Trainers of a run: the same device, precision and loggers for every stage."""

import inspect
from dataclasses import dataclass, field
from typing import Any, Literal

import pytorch_lightning as pl
from pydantic import BaseModel, ConfigDict, ValidationError
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.nn.parallel import DistributedDataParallel
from typing_extensions import override

from aevq.config.checks import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFraction, PositiveInt, argument_error
from aevq.data import ImageDataModule
from aevq.errors import UserError, did_you_mean, expect
from aevq.training.callbacks import StepProgress
from aevq.training.checkpoint import AtomicCheckpointIO, ExactResume, StopOnRequest
from aevq.training.lightning_internals import accumulating, disable_signal_handlers, name_dead_ranks
from aevq.training.loggers import RunLogger
from aevq.training.stop import StopRequest

TARGET = "pytorch_lightning.Trainer"
SET_BY_AEVQ = ("logger", "callbacks", "plugins", "default_root_dir", "enable_checkpointing", "model_registry")

Limit = PositiveInt | Literal[-1]  # -1: none
Part = PositiveInt | PositiveFraction  # so many, or this share


class TrainerArguments(BaseModel):
    """Ranges of the arguments of Lightning's Trainer; those that are not listed are left to Lightning."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false"] = "auto"
    devices: PositiveInt | Literal[-1, "auto"] | list[NonNegativeInt] = "auto"
    num_nodes: PositiveInt = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"  # losses are float32
    max_steps: Limit = -1
    max_epochs: Limit | None = None
    val_check_interval: Part | None = None
    check_val_every_n_epoch: PositiveInt | None = 1
    log_every_n_steps: PositiveInt = 50
    gradient_clip_val: NonNegativeFloat | None = None
    accumulate_grad_batches: PositiveInt = 1
    limit_train_batches: Part | None = None
    limit_val_batches: NonNegativeInt | Fraction | None = None
    overfit_batches: NonNegativeInt | Fraction = 0
    fast_dev_run: bool | NonNegativeInt = False
    profiler: Literal["simple", "advanced", "pytorch"] | None = None


@dataclass
class Trainers:
    """Makes the Trainers of a run, of the arguments in its `trainer` group; they share the loggers."""

    arguments: dict[str, Any]
    stop: StopRequest = field(default_factory=StopRequest)
    loggers: list[RunLogger] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.arguments = _checked(self.arguments)

    def make(
        self, title: str, callbacks: list[Callback], content: dict[str, Any] | None = None, **changes: Any
    ) -> pl.Trainer:
        """Return a Trainer for one stage.

        Its progress bar says `title`, each of its checkpoints holds the plain values `content`, and `changes` are
        arguments that differ from the configuration.

        Raises:
            UserError: If Lightning refuses an argument.
        """
        arguments = self.arguments | changes
        if arguments.get("strategy") == "ddp":
            arguments["strategy"] = _ddp()
        ours: list[Callback] = [ExactResume(content), StopOnRequest(self.stop)]
        if arguments.get("enable_progress_bar", True) and not any(isinstance(each, ProgressBar) for each in callbacks):
            ours.append(StepProgress(title))
        if arguments.get("accumulate_grad_batches", 1) > 1:
            ours.append(ValidationInterval())
        # Some callbacks refuse a Trainer without a logger, and only the first rank has ours.
        logger = self.loggers or DummyLogger()
        try:
            every, io = [*ours, *callbacks], AtomicCheckpointIO()
            trainer = pl.Trainer(**arguments, logger=logger, callbacks=every, plugins=[io])
        except (MisconfigurationException, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"trainer: {' '.join(str(error).split())}") from error
        disable_signal_handlers(trainer)
        name_dead_ranks()
        self.stop.launchers.append(trainer.strategy.launcher)
        return trainer


class ValidationInterval(Callback):
    """Lets `val_check_interval` count optimizer steps where the gradients of several batches are accumulated.

    Lightning counts batches, and an epoch may end with fewer of them for its last step.
    """

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        every = trainer.val_check_interval
        self._every = every if isinstance(every, int) else max(1, int(steps_per_epoch(trainer) * every))
        self.on_train_batch_end(trainer)  # a resumed training asks whether the validation of its last step is due

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        loop, across_epochs = trainer.fit_loop, trainer.check_val_every_n_epoch is None
        batches = (loop.total_batch_idx if across_epochs else loop.batch_idx) + 1
        steps = trainer.global_step if across_epochs else -(-batches // trainer.accumulate_grad_batches)
        due = not accumulating(trainer) and steps % self._every == 0
        trainer.val_check_batch = max(batches, 1) if due else batches + 1  # Lightning validates at its multiples


def steps_per_epoch(trainer: pl.Trainer) -> int:
    """Return the number of optimizer steps of an epoch; its last one may have fewer batches."""
    return -(-int(trainer.num_training_batches) // trainer.accumulate_grad_batches)


def check_lengths(trainer: pl.Trainer, data: ImageDataModule) -> None:
    """Check the limits and intervals of a Trainer against the numbers of batches. The data are prepared.

    Raises:
        UserError: If a process has no batch to train or to validate on, or a validation lies after the end of an epoch.
    """
    train, val = data.sizes["train"] // trainer.world_size, -(-data.sizes["val"] // trainer.world_size)
    expect(data.batch_size <= train, "data.batch_size", f"at most {train} (train images per process)", data.batch_size)
    used = {"train": train // data.batch_size, "val": -(-val // data.eval_batch_size)}
    for split, batches in used.items():
        name = "overfit_batches" if getattr(trainer, "overfit_batches", 0) else f"limit_{split}_batches"
        limit = getattr(trainer, name)
        used[split] = min(limit, batches) if isinstance(limit, int) else int(limit * batches)
        expect(used[split] > 0 or limit == 0, f"trainer.{name}", f"at least one of {batches} batches", limit)
    every, steps = trainer.val_check_interval, -(-used["train"] // trainer.accumulate_grad_batches)
    if isinstance(every, int) and trainer.check_val_every_n_epoch is not None:
        wanted = f"at most {steps} (steps of an epoch) where trainer.check_val_every_n_epoch is set"
        expect(every <= steps, "trainer.val_check_interval", wanted, every)


def _checked(node: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the `trainer` group.

    Raises:
        UserError: If one is unknown or out of range, or nothing ends the training.
    """
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    if node.get("_target_") != TARGET:
        raise UserError(f"trainer._target_: expected {TARGET}, got {node.get('_target_')}")
    known = [name for name in inspect.signature(pl.Trainer).parameters if name not in SET_BY_AEVQ]
    for name in arguments:
        if name in SET_BY_AEVQ:
            raise UserError(f"trainer.{name}: is set by aevq; remove it from the configuration")
        if name not in known:
            raise UserError(f"trainer.{name}: no such argument; {did_you_mean(name, known)}")
    try:
        TrainerArguments(**arguments)
    except ValidationError as error:
        raise argument_error(error, owner="trainer") from error
    if arguments.get("max_steps", -1) == -1 and arguments.get("max_epochs") in (None, -1):
        raise UserError("trainer.max_steps: expected a limit, here or in trainer.max_epochs, got none")
    return arguments


def _ddp() -> DDPStrategy:
    """Return DDP that does not send buffers.

    The buffers are those of the codebook, which all ranks move alike. To send them at each step takes time, and would
    hide it if they differed.
    """
    newer, older = "forward_sync_buffers", "broadcast_buffers"  # torch has renamed it
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    options: dict[str, Any] = {newer if newer in known else older: False}
    return DDPStrategy(**options)
