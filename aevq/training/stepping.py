"""Several optimizer steps as one of Lightning's: where that is possible, and what the Trainer has to be told.

Lightning counts the batches that it brings in several places (validations, epochs, `max_epochs`); where a batch is a
chunk of several (`aevq.data.chunks`), all of them are counted in optimizer steps instead.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytorch_lightning.callbacks import Callback

from aevq.data.chunks import Chunking
from aevq.errors import UserError
from aevq.models import LatentModel
from aevq.training.callbacks import ValidateEvery

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["check_stepping", "fast_device_checks", "plan_chunks", "trainer_limits", "validation_callbacks", "watchers"]

# What Lightning's Trainer must not be asked for where a batch is a chunk: it counts batches there, or refuses a model
# that steps by itself; several processes would have to agree on each backward pass.
ALONE: dict[str, tuple[Any, ...]] = {
    "devices": (1, "1"),
    "num_nodes": (1,),
    "strategy": ("auto",),
    "accumulate_grad_batches": (1,),
    "gradient_clip_val": (None, 0, 0.0),
    "limit_train_batches": (None, 1.0),
    "overfit_batches": (0, 0.0),
    "fast_dev_run": (False,),
    "precision": ("32-true", "bf16-mixed", "bf16-true", "64-true"),  # all that need no loss scaling
}
# Who has one of these wants to see each step.
HOOKS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
)
MODEL_HOOKS = (*HOOKS, "training_step", "optimizer_step", "optimizer_zero_grad", "backward", "lr_scheduler_step")


def plan_chunks(trainer: Mapping[str, Any], at_once: int, batches: int) -> Chunking | None:
    """How optimizer steps are put together, or None where Lightning has to take them one by one.

    Args:
        trainer: The `trainer` group.
        at_once: Steps that shall be one of Lightning's.
        batches: Batches, and so steps, of an epoch.
    """
    alone = all(trainer.get(key, allowed[0]) in allowed for key, allowed in ALONE.items())
    interval, epochs = trainer.get("val_check_interval"), trainer.get("check_val_every_n_epoch")
    by_steps = isinstance(interval, int) and epochs is None
    by_epochs = interval in (None, 1.0) and not by_steps and epochs is not None
    if at_once == 1 or not alone or not (by_steps or by_epochs):
        return None
    steps, whole = trainer.get("max_steps"), trainer.get("max_epochs")
    in_epochs = None if whole in (None, -1) else whole * batches
    limits = [limit for limit in (steps, in_epochs) if limit not in (None, -1)]
    return Chunking(at_once, interval if by_steps else None, min(limits) if limits else None)


def watchers(model: LatentModel, callbacks: Iterable[Callback]) -> list[str]:
    """Names of those that have a hook for each step, or steps themselves: they see every step or none.

    A callback that knows chunks says so with `sees_chunks = True`.
    """
    names = [type(model).__name__] if _overrides(model, LatentModel, MODEL_HOOKS) else []
    foreign = (callback for callback in callbacks if not getattr(callback, "sees_chunks", False))
    return names + [type(callback).__name__ for callback in foreign if _overrides(callback, Callback, HOOKS)]


def _overrides(thing: object, base: type, hooks: Iterable[str]) -> bool:
    own = vars(thing)
    return any(hook in own or getattr(type(thing), hook) is not getattr(base, hook) for hook in hooks)


def trainer_limits(chunking: Chunking | None) -> dict[str, Any]:
    """Arguments of the Trainer that say in optimizer steps what was said in epochs."""
    return {} if chunking is None or chunking.last is None else {"max_steps": chunking.last, "max_epochs": -1}


def validation_callbacks(chunking: Chunking | None) -> list[Callback]:
    """What validates after so many optimizer steps."""
    return [] if chunking is None or chunking.every is None else [ValidateEvery(chunking.every)]


def check_stepping(checkpoint: Mapping[str, Any], chunking: Chunking | None) -> None:
    """Refuse to go on in the other way: Lightning counts the steps of the two in different places.

    Raises:
        UserError: If `checkpoint` is of a training that stepped the other way.
    """
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.manual_optimization.optim_step_progress"]
    chunked = progress["total"]["completed"] > 0
    if checkpoint["global_step"] > 0 and chunked != (chunking is not None):
        was = "several steps" if chunked else "one step"
        raise UserError(
            f"resume: the run took {was} at once; expected the steps_at_once, devices and limits that it was made with"
        )


@contextmanager
def fast_device_checks() -> Iterator[None]:
    """Let torch ask the CUDA runtime whether there is a GPU, as it does by itself.

    Lightning has it ask NVIDIA's management library instead, so that processes can fork; where there is none, each
    optimizer step then searches the disk for it, 70 µs each time.
    """
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    before = os.environ.pop(name, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before
