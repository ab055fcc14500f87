"""`python -m aevq.train`: train a model, fit its priors, score, draw, and leave a run folder.

python -m aevq.train model=vae
python -m aevq.train model=vqvae model.num_codes=512 trainer.max_steps=8000
python -m aevq.train resume=latest
python -m aevq.train -m model=ae,vae,vqvae seed=1,2,3
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
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
    old = Run(find_run(str(config.resume), Path(config.paths.runs))) if config.resume is not None else None
    job = Job(_resumed_config(old, config) if old else config)
    if old is not None and old.result.status == "finished" and not _task_overrides():
        print(f"{old.path.name} is finished; nothing to resume")
        return old.result.objective_value
    return job.run(old).objective_value


def _task_overrides() -> list[str]:
    """Overrides of the command line, `resume` and `debug` left out."""
    return [o for o in HydraConfig.get().overrides.task if not o.startswith(("resume=", "debug="))]


def _resumed_config(run: Run, config: DictConfig) -> DictConfig:
    """The run's own configuration, with the values (not the groups) that the command line changes.

    Raises:
        UserError: If the command line changes a group: that would be another run.
    """
    stored = run.config
    for override in _task_overrides():
        key = override.split("=", 1)[0].lstrip("+~")
        if OmegaConf.is_dict(OmegaConf.select(config, key)):
            raise UserError(f"resume: {override!r} would make another run; only single values can change")
        OmegaConf.update(stored, key, OmegaConf.select(config, key), force_add=True)
    return stored


if __name__ == "__main__":
    main()
