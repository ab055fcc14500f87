"""What we know of the arguments of other libraries' classes beyond their own annotations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Predicate

from aevq.config.schema.ranges import Count, Fraction, NonNegative, Positive, Probability, Says, Whole

__all__ = ["REFUSED", "refined"]

TRAINER = "pytorch_lightning.trainer.trainer.Trainer"

LIMIT = Says("an integer ≥ 0, or -1 for no limit")
Limit = Annotated[int, Ge(-1), LIMIT]
SomeBatches = Whole | Fraction


def _not_zero(value: int) -> bool:
    return value != 0


Devices = Annotated[int, Ge(-1), Predicate(_not_zero), Says("an integer ≥ 1, -1 for all there are")]

REFINED: dict[str, dict[str, Any]] = {
    TRAINER: {
        "accelerator": Literal["auto", "cpu", "gpu", "cuda", "mps"],
        "strategy": Literal["auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false"],
        "devices": Devices | Literal["auto"] | list[Whole],
        "num_nodes": Count,
        "precision": Literal["32-true", "bf16-mixed", "16-mixed"],  # losses are float32: the others do not fit them
        "max_steps": Limit,
        "max_epochs": Annotated[Limit | None, LIMIT],
        "min_steps": Whole | None,
        "min_epochs": Whole | None,
        "val_check_interval": Count | Annotated[float, Gt(0), Le(1)] | None,
        "check_val_every_n_epoch": Count | None,
        "log_every_n_steps": Count,
        "gradient_clip_val": NonNegative | None,
        "accumulate_grad_batches": Count,
        "num_sanity_val_steps": Limit,
        "limit_train_batches": SomeBatches | None,
        "limit_val_batches": SomeBatches | None,
        "limit_test_batches": SomeBatches | None,
        "limit_predict_batches": SomeBatches | None,
        "overfit_batches": SomeBatches,
        "fast_dev_run": bool | Whole,
        "profiler": Literal["simple", "advanced", "pytorch"] | None,
    },
    "torch.optim.": {
        "lr": Positive,
        "betas": tuple[Probability, Probability],
        "weight_decay": NonNegative,
        "momentum": NonNegative,
        "eps": Positive,
    },
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping": {"patience": Count, "mode": Literal["min", "max"]},
}

# What a run sets itself: in a configuration it would be overwritten, or put files where nobody looks for them.
REFUSED: dict[str, tuple[str, ...]] = {
    TRAINER: ("logger", "callbacks", "plugins", "default_root_dir", "enable_checkpointing", "model_registry")
}


def refined(name: str) -> dict[str, Any]:
    """Annotations by argument for the class of that full name; a family of classes by the beginning of its name."""
    return next((known for start, known in REFINED.items() if name == start or name.startswith(start)), {})
