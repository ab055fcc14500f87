"""Resuming a run: which values may change, and how a finished run is continued.

An interrupted run is resumed in its own folder. A finished run never changes: it is continued in a copy. Values that
the training has used cannot change: config.yaml would no longer say how the weights were trained.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from aevq.config.command_line import parse_overrides
from aevq.errors import UserError, did_you_mean
from aevq.runs.folder import CONFIG_FILE, RESULT_FILE
from aevq.runs.metrics_file import METRICS_FILE
from aevq.runs.result import write_result
from aevq.runs.run import Run

LIMITS = tuple(f"trainer.{name}" for name in ("min_steps", "max_steps", "min_epochs", "max_epochs", "max_time"))
MACHINE = ("trainer.accelerator", "trainer.profiler", "compile", "matmul_precision", "data.root", "data.timeout")
SHOWN = ("trainer.enable_progress_bar", "trainer.enable_model_summary", "logger", "plots", "tags", "notes")
MAY_CHANGE = (*LIMITS, *MACHINE, *SHOWN, "prior", "evaluation", "objective")


def parse(overrides: Sequence[str]) -> dict[str, Override]:
    """Return overrides such as `resume=latest` and `trainer.max_steps=100` by their keys.

    Raises:
        UserError: If one of them is not a single value.
    """
    parsed = parse_overrides(overrides)
    for override in parsed:
        if override.is_sweep_override() or override.is_delete():
            raise UserError(f"resume: expected key=value with a single value, got {override.input_line!r}")
    return {override.key_or_group: override for override in parsed}


def changed_config(run: Run, overrides: dict[str, Override]) -> DictConfig:
    """Return the configuration of a run with the values that the command line changes.

    Raises:
        UserError: If there is no such key, or the training has used its value.
    """
    config, steps = run.config, int(run.result.train.get("steps", 0))
    for key, override in overrides.items():
        owner, _, name = key.rpartition(".")
        found: Any = OmegaConf.select(config, owner) if owner else config
        values = found if OmegaConf.is_dict(found) else {}
        if "/" in key or OmegaConf.is_dict(values.get(name)):
            raise UserError(f"resume: {key} would make another run; only single values can change")
        if name not in values and not (override.is_add() or override.is_force_add()):
            raise UserError(f"resume: {run.path.name} has no key {key}; {did_you_mean(name, map(str, values))}")
        if not any(key == known or key.startswith(f"{known}.") for known in MAY_CHANGE):
            raise UserError(f"resume: {key} is part of what was trained; to change it, start a new run")
        value: Any = override.value()
        if key == "trainer.max_steps" and isinstance(value, int) and 0 <= value < steps:
            raise UserError(f"{key}: expected at least {steps}, the steps that {run.path.name} has taken, got {value}")
        OmegaConf.update(config, key, value, force_add=True)
    return config


def copy_run(run: Run, copy: Run) -> None:
    """Copy into a new folder what a training is resumed from; the copy counts as interrupted."""
    for folder in ("checkpoints", "priors"):
        shutil.copytree(run.path / folder, copy.path / folder, dirs_exist_ok=True)
    for name in (CONFIG_FILE, METRICS_FILE):
        if (run.path / name).is_file():
            shutil.copy(run.path / name, copy.path)
    # The result comes last: a folder without it is no run.
    write_result(replace(run.result, name=copy.path.name, status="interrupted"), copy.path / RESULT_FILE)
