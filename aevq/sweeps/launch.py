"""Starts a new sweep, or a further batch of one: a sweeper such as Optuna asks for several batches."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from typing_extensions import override

from aevq.errors import UserError
from aevq.files import point_latest
from aevq.runs.folder import LATEST_SWEEP, RESULT_FILE, SWEEP_FILE, claimed
from aevq.runs.result import command_line, read_result
from aevq.runs.sweep_record import Sweep, SweepJob, read_sweep
from aevq.sweeps.pool import run_jobs
from aevq.sweeps.slots import plan_slots

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RememberSweep", "launch_sweep"]


class RememberSweep(Callback):
    """Remembers which sweep this process runs: Hydra calls no hook at the end of a sweep in which a job failed.

    Attributes:
        folder: The sweep's folder; None if this process runs no sweep.
    """

    folder: ClassVar[Path | None] = None

    @override
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        RememberSweep.folder = Path(str(config.hydra.sweep.dir)).absolute()


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
    """Run the jobs of a sweep, or of a further batch of it.

    Args:
        folder: The sweep's folder.
        job_overrides: The command line of each job: what it changes in the configuration.
        first_index: Number of the first job in the sweep; 0 starts the sweep.
        flags: Arguments that say where each job finds further yaml files.
        trainer: The `trainer` group of the jobs: its accelerator and number of devices.
        n_jobs: Jobs at once, or `auto`.
        threads: Threads of each job, or `auto`.

    Returns:
        The objective of each job; None if it has none or failed.

    Raises:
        UserError: If the folder holds another sweep, or an option is bad.
    """
    slots = plan_slots(trainer, n_jobs, threads, len(job_overrides))
    folder.mkdir(parents=True, exist_ok=True)
    if first_index > 0:
        sweep = read_sweep(folder)
    elif (folder / SWEEP_FILE).exists():
        raise UserError(f"hydra.sweep.dir: {folder} holds a sweep already; resume it with resume_sweep={folder}")
    else:
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        sweep = Sweep(command_line(), now, flags, path=folder)
        if folder.parent.name == "sweep":
            point_latest(folder.parent.parent, folder, LATEST_SWEEP)
    jobs = [SweepJob(first_index + i, overrides) for i, overrides in enumerate(job_overrides)]
    sweep.jobs += jobs
    with claimed(folder, "sweep"):
        run_jobs(sweep, jobs, slots)
    return [_objective(sweep, job) for job in jobs]


def _objective(sweep: Sweep, job: SweepJob) -> float | None:
    if job.status != "finished" or job.folder is None:
        return None
    return read_result(sweep.path / job.folder / RESULT_FILE).objective_value
