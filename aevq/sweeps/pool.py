"""Runs the jobs of a sweep, several at once; a crashed or killed job does not affect the others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aevq.sweeps.process import JobProcess
from aevq.sweeps.progress import SweepProgress
from aevq.training.stop import StopRequest

if TYPE_CHECKING:
    from aevq.runs.sweep_record import Sweep, SweepJob
    from aevq.sweeps.slots import Slot

__all__ = ["run_jobs"]

POLL_SECONDS = 0.3
SECONDS_TO_SAVE = 60


def run_jobs(sweep: Sweep, jobs: list[SweepJob], slots: list[Slot], trust: list[str] | None = None) -> None:
    """Run `jobs` of a sweep to their ends, and keep the record up to date.

    Ctrl-C, SIGTERM and SIGUSR1 stop the running jobs, which save a checkpoint; all unfinished jobs are marked
    interrupted.

    Args:
        sweep: The sweep.
        jobs: Which of its jobs to run.
        slots: Where they run: one job at a time in each.
        trust: Packages whose classes a job from a sweep.json may name; None for jobs just typed, which may name any.

    Raises:
        Stopped: If it was stopped by a signal.
    """
    waiting, running = list(jobs), dict[int, JobProcess]()  # running: by the index of the slot
    for job in jobs:
        job.status = "waiting"
    sweep.save()
    with StopRequest().listening(), SweepProgress(sweep, len(slots)) as progress:
        try:
            while waiting or running:
                ended = [running.pop(slot) for slot, process in list(running.items()) if process.poll()]
                started = []
                for slot, environment in enumerate(slots):
                    if waiting and slot not in running:
                        running[slot] = JobProcess.start(sweep, waiting.pop(0), environment, trust)
                        started.append(running[slot])
                if ended or started:
                    sweep.save()
                progress.show(running.values(), ended, started)
                time.sleep(POLL_SECONDS if running else 0)
        except BaseException:
            _stop(list(running.values()))
            for job in waiting:
                job.status = "interrupted"
            sweep.save()
            raise


def _stop(running: list[JobProcess]) -> None:
    """Let the running jobs save a checkpoint and exit; kill those that take too long."""
    for process in running:
        process.process.terminate()
    deadline = time.monotonic() + SECONDS_TO_SAVE
    while not all(process.poll() or time.monotonic() > deadline for process in running):
        time.sleep(POLL_SECONDS)
    for process in running:
        process.process.kill()
        process.process.wait()
        if process.poll() and process.job.status != "finished":
            process.job.status, process.job.error = "interrupted", "stopped with the sweep"
            process.job.resumable = process.job.folder is not None
