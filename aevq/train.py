"""`python -m aevq.train`: train a model, fit its priors, score, draw, and leave a run folder.

python -m aevq.train model=vae
python -m aevq.train model=vqvae model.num_codes=512 trainer.max_steps=8000
python -m aevq.train resume=latest
python -m aevq.train -m model=ae,vae,vqvae seed=1,2,3
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from aevq.cli import hydra_command
from aevq.errors import UserError
from aevq.job import Job
from aevq.recording import terminal_logging
from aevq.runs import Run, find_run

__all__ = ["main", "train"]


def main() -> None:
    """Entry point of the command line."""
    terminal_logging()
    hydra_command(train, "train")


def train(config: DictConfig) -> float | None:
    """Do one run, new or resumed.

    Args:
        config: As composed by Hydra.

    Returns:
        The value of the metric `objective`, for a sweeper; None where the run has no such metric.

    Raises:
        UserError: If an argument is bad; nothing was written then.
    """
    if config.resume is None:
        return Job(config).run(None).objective_value
    run = Run(find_run(str(config.resume), Path(config.paths.runs)))
    changes = _changes()
    if run.result.status == "finished" and not changes:
        print(f"{run.path.name} is finished; nothing to resume")
        return run.result.objective_value
    return Job(_resumed_config(run, config, changes), tuple(config.trust)).run(run).objective_value


def _changes() -> list[str]:
    """Keys that the command line of a resumed run changes."""
    overrides = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    return [key for o in overrides if (key := o.key_or_group) not in ("resume", "debug", "trust", "paths.runs")]


def _resumed_config(run: Run, config: DictConfig, changes: list[str]) -> DictConfig:
    """The run's own configuration with the values that the command line changes.

    Raises:
        UserError: If the command line changes more than a single value: that would be another run.
    """
    stored = run.config
    for group in set(config) - set(stored):  # younger than the run
        stored[group] = config[group]
    for key in changes:
        if "/" in key or OmegaConf.is_config(OmegaConf.select(stored, key)):
            raise UserError(f"resume: {key} would make another run; only single values can change")
        OmegaConf.update(stored, key, OmegaConf.select(config, key), force_add=True)
    return stored


if __name__ == "__main__":
    main()
