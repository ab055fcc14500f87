"""Lightning Trainers of a run: the same device, precision and loggers for every stage."""

import inspect
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, ValidationError
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.nn.parallel import DistributedDataParallel

from aevq.config.checks import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt, argument_error
from aevq.errors import UserError, did_you_mean
from aevq.training.callbacks import StepProgress
from aevq.training.checkpoint import AtomicCheckpointIO, ExactResume, StopOnRequest
from aevq.training.lightning_internals import disable_signal_handlers
from aevq.training.loggers import RunLogger
from aevq.training.stop import StopRequest

TARGET = "pytorch_lightning.Trainer"
SET_BY_AEVQ = ("logger", "callbacks", "plugins", "default_root_dir", "enable_checkpointing", "model_registry")

Limit = Annotated[int, Ge(-1)]  # -1: none
Batches = NonNegativeInt | Fraction


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
    val_check_interval: PositiveInt | Annotated[float, Ge(0), Le(1)] | None = None
    check_val_every_n_epoch: PositiveInt | None = 1
    log_every_n_steps: PositiveInt = 50
    gradient_clip_val: NonNegativeFloat | None = None
    accumulate_grad_batches: PositiveInt = 1
    limit_train_batches: Batches | None = None
    limit_val_batches: Batches | None = None
    overfit_batches: Batches = 0
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
        bar = [StepProgress(title)] if arguments.get("enable_progress_bar", True) else []
        ours = [ExactResume(content), StopOnRequest(self.stop), *bar]
        try:
            every, io = [*ours, *callbacks], AtomicCheckpointIO()
            trainer = pl.Trainer(**arguments, logger=self.loggers or False, callbacks=every, plugins=[io])
        except (MisconfigurationException, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"trainer: {' '.join(str(error).split())}") from error
        disable_signal_handlers(trainer)
        return trainer


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
