"""From a sweep's command line to its folder: a new sweep, a further batch of one, or one that goes on."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from aevq.errors import UserError
from aevq.files import point_latest
from aevq.runs.provenance import command_line
from aevq.runs.result import read_result
from aevq.sweeps.pool import run_sweep, wait_for_the_dead
from aevq.sweeps.record import LATEST_SWEEP, SWEEP_FILE, Sweep, SweepJob, read_sweep
from aevq.sweeps.slots import Slots, check_places, visible_gpus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["go_on", "launch"]


def launch(
    folder: Path,
    job_overrides: list[list[str]],
    *,
    first_index: int,
    flags: list[str],
    trainer: Mapping[str, Any],
    n_jobs: int | str,
    threads: int | str,
) -> list[float | None]:
    """Run the jobs of a sweep, or of a further batch of it.

    Args:
        folder: Of the sweep.
        job_overrides: What each job's command line changes.
        first_index: Number of the first of them in the sweep.
        flags: Further arguments of each job's command line.
        trainer: The `trainer` group of the jobs: its accelerator and number of devices.
        n_jobs: Jobs at once, or `auto`.
        threads: Threads a job, or `auto`.

    Returns:
        The objective of each job; None where it has none or failed.
    """
    check_places(n_jobs, threads)
    folder.mkdir(parents=True, exist_ok=True)
    if first_index == 0 and (folder / SWEEP_FILE).exists():
        raise UserError(f"hydra.sweep.dir: {folder} holds a sweep already; resume_sweep={folder} goes on with it")
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    sweep = Sweep(folder, command_line(), now, flags) if first_index == 0 else read_sweep(folder)
    jobs = [SweepJob(first_index + i, overrides) for i, overrides in enumerate(job_overrides)]
    sweep.jobs += jobs
    if first_index == 0 and folder.parent.name == "sweep":
        point_latest(folder.parent.parent, folder, LATEST_SWEEP)  # by name it may be another: a clock can go back
    run_sweep(sweep, jobs, plan(trainer, n_jobs, threads, len(jobs)))
    return [_objective(sweep, job) for job in jobs]


def plan(trainer: Mapping[str, Any], n_jobs: int | str, threads: int | str, waiting: int) -> Slots:
    """Places for jobs with this `trainer` group."""
    gpus = visible_gpus(str(trainer.get("accelerator", "auto")))
    devices = trainer.get("devices", 1)
    several = devices if isinstance(devices, int) and devices > 0 else (len(gpus) or 1) if devices == -1 else 1
    return Slots.plan(n_jobs, threads, several, gpus, waiting)


def go_on(
    sweep: Sweep,
    trust: list[str],
    n_jobs: int | str = "auto",
    threads: int | str = "auto",
    config_dirs: Sequence[str] = (),
) -> None:
    """Run what a sweep has left: jobs that were cut go on in their folders, those that failed or never began run anew.

    Args:
        sweep: As read from its folder.
        trust: Packages whose classes its jobs may name, besides those of aevq.
        n_jobs: Jobs at once, or `auto`.
        threads: Threads a job, or `auto`.
        config_dirs: Folders of yaml files that the sweep was started with: they can run anything, so they are said
            again.

    Raises:
        UserError: If another process is running it, or a job would change how Hydra works.
    """
    _refuse_foreign(sweep, config_dirs)
    wait_for_the_dead(sweep.jobs)
    for job in sweep.jobs:
        _find_out(sweep, job)
    left = [job for job in sweep.jobs if job.status != "finished"]
    sweep.save()
    if not left:
        return
    run_sweep(sweep, left, plan(_trainer_of(sweep), n_jobs, threads, len(left)), trust)


def _refuse_foreign(sweep: Sweep, config_dirs: Sequence[str]) -> None:
    """Refuse what a record from elsewhere could run: flags of Hydra, its own settings, folders of yaml files."""
    flags = [part for folder in config_dirs for part in ("--config-dir", folder)]
    if sweep.flags != flags:
        named = " ".join(sweep.flags) or "none"
        raise UserError(f"{sweep.path}: it was started with --config-dir, whose yaml may run anything; say so: {named}")
    for job in sweep.jobs:
        if job.folder and (sweep.path / job.folder).is_symlink():
            raise UserError(f"{sweep.path}: the folder of job {job.index} is a link to somewhere else; refused")
        for override in job.overrides:
            key = override.partition("=")[0]
            if override.startswith("-") or "hydra" in re.split(r"[+~@./:]", key) or "=" not in override.lstrip("~"):
                raise UserError(f"{sweep.path}: job {job.index} has {override!r}, which no sweep has written; refused")


def _find_out(sweep: Sweep, job: SweepJob) -> None:
    """What became of a job whose launcher died while it ran."""
    if job.status != "running":
        return
    job.pid = None
    found = sorted(sweep.path.glob(f"{job.index}_*/result.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        job.status, job.cut = "interrupted", False
        return
    job.folder = found[-1].parent.name
    status = read_result(found[-1]).status
    job.status = status if status in ("finished", "failed") else "interrupted"
    job.cut = job.status == "interrupted"


def _trainer_of(sweep: Sweep) -> Mapping[str, Any]:
    for job in sweep.jobs:
        path = sweep.path / (job.folder or "") / "config.yaml"
        if job.folder and path.is_file():
            config: Any = OmegaConf.to_container(OmegaConf.load(path))
            return dict(config["trainer"])
    return {}


def _objective(sweep: Sweep, job: SweepJob) -> float | None:
    if job.status != "finished" or job.folder is None:
        return None
    return read_result(sweep.path / job.folder / "result.json").objective_value
