"""`python -m aevq.train`: train a model, fit its priors, score, draw, and leave a run folder.

python -m aevq.train model=vae
python -m aevq.train model=vqvae model.num_codes=512 trainer.max_steps=8000
python -m aevq.train resume=latest
python -m aevq.train -m model=ae,vae,vqvae seed=1,2,3
python -m aevq.train -m resume_sweep=latest
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from aevq.config.command_line import hydra_command, one_line_errors, typed_overrides
from aevq.config.instantiate import EVERYTHING
from aevq.config.schema import check_value
from aevq.config.terminal import quiet_libraries, terminal_logging
from aevq.errors import UserError
from aevq.runs.folder import SWEEP_FILE, find_run
from aevq.runs.status import TRUST_ONLY, report_status
from aevq.runs.sweep_record import read_sweep
from aevq.sweeps import RememberSweep, resume_sweep
from aevq.training.allocator import keep_freed_memory

if TYPE_CHECKING:
    from aevq.runs.run import Run

__all__ = ["main", "train"]


RESUME_SWEEP = "resume_sweep="


def main() -> None:
    """Entry point of the command line."""
    terminal_logging()
    try:
        if any(argument.startswith(RESUME_SWEEP) for argument in sys.argv[1:]):
            with one_line_errors(show_traceback=False):
                resume_sweep(sys.argv[1:])
        else:
            hydra_command(train, "train")
    finally:
        folder, RememberSweep.folder = RememberSweep.folder, None
        if folder is not None and folder.is_dir():
            end_sweep(folder)


def end_sweep(folder: Path) -> None:
    """Write the report of a sweep, say what became of its jobs, and exit non-zero where one failed."""
    from aevq.compare import compare  # its templates and charts are for sweeps only

    try:
        compare([folder])
    except UserError as error:
        print(f"no report: {error}", file=sys.stderr)
    if not (folder / SWEEP_FILE).is_file():
        return  # another launcher's, which has said it itself
    sweep = read_sweep(folder)
    if sweep.status != "finished":
        print(f"python -m aevq.train -m resume_sweep={folder} runs what is left", file=sys.stderr)
    if any(job.status == "failed" for job in sweep.jobs):
        sys.exit(1)


def train(config: DictConfig) -> float | None:
    """Do one run, new or resumed.

    Args:
        config: As composed by Hydra.

    Returns:
        The value of the metric `objective`, for a sweeper; None where the run has no such metric.

    Raises:
        UserError: If an argument is bad; nothing was written then.
    """
    # These need torch and Lightning, which take seconds: not for `--help`, nor for a sweep that only starts its jobs.
    from aevq.runs.run import Run
    from aevq.training.compatibility import VALUES
    from aevq.training.job import Job

    terminal_logging()  # another launcher may have called this function and not `main`
    quiet_libraries()
    keep_freed_memory()
    if config.resume is None:
        # What was typed may name any class; a job read from a sweep's folder only those that are trusted.
        trust = tuple(config.trust) if os.environ.get(TRUST_ONLY) else EVERYTHING
        return Job(config, trust).run(None).objective_value
    check_value("resume", config.resume, VALUES["resume"])
    run = Run(find_run(str(config.resume), Path(config.paths.runs), "resume"))
    changes = _changes()
    if run.result.status == "finished" and not changes:
        report_status(folder=str(run.path))
        print(f"{run.path.name} is finished; nothing to resume")
        return run.result.objective_value
    return Job(_resumed_config(run, config, changes), tuple(config.trust)).run(run).objective_value


def _changes() -> list[str]:
    """Keys that the command line of a resumed run changes."""
    return [key for o in typed_overrides() if (key := o.key_or_group) not in ("resume", "debug", "trust", "paths.runs")]


def _resumed_config(run: Run, config: DictConfig, changes: list[str]) -> DictConfig:
    """The run's own configuration with the values that the command line changes.

    Raises:
        UserError: If the command line changes more than a single value: that would be another run.
    """
    stored = run.config
    for key in changes:
        if "/" in key or OmegaConf.is_config(OmegaConf.select(stored, key)):
            raise UserError(f"resume: {key} would make another run; only single values can change")
        OmegaConf.update(stored, key, OmegaConf.select(config, key), force_add=True)
    return stored


if __name__ == "__main__":
    main()
