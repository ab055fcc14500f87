"""Starts a sweep or a further batch of one, which a sweeper such as Optuna asks for; resumes a sweep.

To resume: `python -m aevq.train -m resume_sweep=latest`. sweep.json may come from another machine. So its jobs may name
only classes that are trusted, and further folders of yaml files, which could name any class, are used only if they are
given again on the command line.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from typing_extensions import override

from aevq.config.checks import validate
from aevq.config.command_line import yaml_value
from aevq.errors import UserError, did_you_mean, expect
from aevq.files import point_latest
from aevq.runs.folder import (
    CONFIG_FILE,
    HYDRA_SWEEP_FILE,
    LATEST_SWEEP,
    RESULT_FILE,
    claimed,
    create_folder,
    find_sweep,
    read_config,
)
from aevq.runs.result import command_line, read_result
from aevq.runs.sweep_record import Sweep, SweepJob, read_sweep
from aevq.sweeps.pool import SECONDS_TO_SAVE, run_jobs
from aevq.sweeps.slots import plan_slots

N_JOBS, THREADS, SEARCH_PATH = "hydra.launcher.n_jobs", "hydra.launcher.threads", "hydra.searchpath"
UNKNOWN = "unknown"  # direction of a metric
OPTIONS = ("resume_sweep", "paths.runs", "trust", N_JOBS, THREADS, SEARCH_PATH)


class RememberSweep(Callback):
    """Remembers which sweep this process runs: Hydra calls no hook at the end of a sweep in which a job failed."""

    folder: ClassVar[Path | None] = None  # of the sweep, if this process runs one
    created: ClassVar[list[Path]] = []  # until its first job: it and those above it that this process has created

    @override
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if "aevq" not in config.hydra.launcher["_target_"]:  # ours is not sure of the folder yet
            RememberSweep.folder = Path(str(config.hydra.sweep.dir)).absolute()


def prepare_sweep(config: DictConfig) -> None:
    """Check what a search maximises or minimises, and create the sweep's folder, which `config` names from then on.

    A number is appended to the name of a folder that exists: it may be that of a sweep which was started in the same
    second.

    Raises:
        UserError: If no trial of a search would have the metric `objective`, or the folder cannot be created.
    """
    if not config.hydra.sweeper["_target_"].endswith(".BasicSweeper"):
        from aevq.training.parts import build_parts, check_objective, to_plain  # takes seconds

        parts = build_parts(to_plain(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])))
        check_objective(parts)
        if config.hydra.sweeper.get("direction") == UNKNOWN:
            hint = "add hydra.sweeper.direction=minimize or hydra.sweeper.direction=maximize"
            raise UserError(
                f"objective: it is not known whether {config.objective} should be minimised or maximised; {hint}"
            )
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    expect(not Path.cwd().is_relative_to(folder), "hydra.sweep.dir", "a folder for the sweep alone", str(folder))
    above = [path for path in folder.parents if not path.exists()]
    folder = create_folder(folder.parent, folder.name, ())
    RememberSweep.folder, RememberSweep.created = folder, [folder, *above]
    config.hydra.sweep.dir = str(folder)


def remove_unused() -> None:
    """Remove the folder of a sweep that was refused before its first job, and those created for it."""
    with suppress(OSError):  # a folder is not empty
        for folder in RememberSweep.created:
            (folder / HYDRA_SWEEP_FILE).unlink(missing_ok=True)
            folder.rmdir()
    RememberSweep.created = []


def direction_of(objective: str) -> str:
    """Return whether a search should `minimize` or `maximize` a metric, by the catalogue."""
    from aevq.metrics.catalogue import find

    goal = metric.goal if (metric := find(objective)) else None
    return {"lower": "minimize", "higher": "maximize"}.get(str(goal), UNKNOWN)


OmegaConf.register_new_resolver("direction_of", direction_of, replace=True)


def launch_sweep(
    folder: Path,
    job_overrides: list[list[str]],
    *,
    first_index: int,
    flags: list[str],
    trainer: Mapping[str, Any],
    n_jobs: int | str,
    threads: int | str,
) -> list[float | None]:
    """Run the jobs of a sweep, or of a further batch of it; return their objectives, None for a job without one.

    The first job of the batch has the number `first_index`, of a new sweep 0. `flags` are arguments that say where each
    job finds further yaml files; `trainer`, `n_jobs` and `threads` are those of `plan_slots`.

    Raises:
        UserError: If an option is bad.
    """
    slots = plan_slots(trainer, n_jobs, threads, len(job_overrides))
    RememberSweep.created = []
    folder.mkdir(parents=True, exist_ok=True)
    if first_index > 0:
        sweep = read_sweep(folder)
    else:
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        sweep = Sweep(command_line(), now, flags, path=folder)
        if folder.parent.name == "sweep":
            point_latest(folder.parent.parent, folder, LATEST_SWEEP)
    jobs = [SweepJob(first_index + i, overrides) for i, overrides in enumerate(job_overrides)]
    sweep.jobs += jobs
    with claimed(folder, "sweep"):
        run_jobs(sweep, jobs, slots)
    results = [folder / job.folder / RESULT_FILE if job.folder and job.status == "finished" else None for job in jobs]
    return [read_result(path).objective_value if path else None for path in results]


def resume_sweep(arguments: Sequence[str]) -> None:
    """Run the jobs of a sweep that have not finished: interrupted ones are resumed, others start anew.

    The arguments are `resume_sweep=<folder, name or latest>`, and optionally `-m`, `--config-dir …` and further
    `OPTIONS`.

    Raises:
        UserError: If there is no such sweep, another process runs it, its record does not look like one that aevq has
            written, or an argument would start a different sweep.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cd", "--config-dir", action="append", default=[])
    parser.add_argument("-cn", "--config-name")
    known, overrides = parser.parse_known_args(arguments)
    typed = {name: value for name, _, value in (override.partition("=") for override in overrides)}
    for name in typed:
        if name not in OPTIONS:
            raise UserError(f"resume_sweep: {name} would start a different sweep; {did_you_mean(name, OPTIONS)}")
    flags = [part for folder in known.config_dir for part in ("--config-dir", folder)]
    flags += ["--config-name", known.config_name] if known.config_name else []
    flags += [f"{SEARCH_PATH}={typed[SEARCH_PATH]}"] if SEARCH_PATH in typed else []
    n_jobs, threads = (yaml_value(name, typed.get(name, "auto")) for name in (N_JOBS, THREADS))
    trust = validate("trust", yaml_value("trust", typed.get("trust", "[]")), list[str])
    folder = find_sweep(typed["resume_sweep"], Path(typed.get("paths.runs", "runs")), "resume_sweep")
    _check_record(read_sweep(folder), flags)
    with claimed(folder, "resume_sweep"):
        RememberSweep.folder, sweep = folder, read_sweep(folder)
        for job in sweep.jobs:
            _update(sweep, job)
        left = [job for job in sweep.jobs if job.status != "finished"]
        run_jobs(sweep, left, plan_slots(_trainer(sweep), n_jobs, threads, len(left)), trust)


def _check_record(sweep: Sweep, flags: list[str]) -> None:
    """Refuse a record that could run code: folders of yaml files not given again, flags, settings of Hydra."""
    if sweep.flags != flags:
        raise UserError(
            f"{sweep.path}: the sweep was started with other yaml files, which may run any code; "
            f"to use the same, add: {' '.join(sweep.flags) or 'none'}"
        )
    for job in sweep.jobs:
        for typed in job.overrides:
            key = typed.partition("=")[0]
            if typed.startswith("-") or "hydra" in re.split(r"[+~@./:]", key) or "=" not in typed.lstrip("~"):
                raise UserError(f"{sweep.path}: job {job.index} has {typed!r}, which aevq never writes; refused")


def _update(sweep: Sweep, job: SweepJob) -> None:
    """Update the entry of a job whose launcher was killed; the job itself got a signal to save and exit."""
    if job.status != "running":
        return
    job.status = "interrupted"
    found = sorted(sweep.path.glob(f"{job.index}_*/{RESULT_FILE}"), key=lambda path: path.stat().st_mtime)
    if found:
        with claimed(found[-1].parent, "resume_sweep", timeout=SECONDS_TO_SAVE):
            status = read_result(found[-1]).status
        job.folder, job.status = found[-1].parent.name, "interrupted" if status == "running" else status
        job.resumable = job.status == "interrupted"


def _trainer(sweep: Sweep) -> dict[str, Any]:
    """Return the `trainer` group of the jobs; empty if none of them has started."""
    paths = (sweep.path / job.folder / CONFIG_FILE for job in sweep.jobs if job.folder)
    config = next((read_config(path) for path in paths if path.is_file()), {})
    return validate("trainer", config.get("trainer", {}), dict[str, Any])
