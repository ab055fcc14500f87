"""Runs the jobs of a sweep, so many at once; whatever one of them does, the others go on."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from aevq.errors import Stopped, UserError
from aevq.sweeps.process import JobProcess, start
from aevq.sweeps.progress import SweepProgress
from aevq.training.stop import NOTICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aevq.sweeps.record import Sweep, SweepJob
    from aevq.sweeps.slots import Slots

__all__ = ["run_sweep", "wait_for_the_dead"]

SECONDS_BETWEEN_LOOKS = 0.3
SECONDS_TO_SAVE = 60


def run_sweep(sweep: Sweep, jobs: list[SweepJob], slots: Slots, trust: list[str] | None = None) -> None:
    """Run `jobs` of a sweep to their ends, and keep its record.

    Ctrl-C and SIGTERM stop the running jobs, which save, and mark them and those that wait as interrupted.

    Args:
        sweep: The sweep.
        jobs: Those of its jobs that shall run.
        slots: How many at once, and where.
        trust: Packages whose classes a job read from a folder may name; None for jobs just typed, which may name any.

    Raises:
        UserError: If another process is running this sweep.
        KeyboardInterrupt: If it was stopped.
    """
    lock = FileLock(sweep.path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"sweep: another process is running {sweep.path}") from None
    for job in jobs:
        job.status = "waiting"
    with lock, _terminable(), SweepProgress(sweep, slots.count) as progress:
        waiting, running = list(jobs), list[JobProcess]()
        try:
            while waiting or running:
                running = _look(sweep, waiting, running, slots, trust, progress)
        except BaseException:
            _stop(sweep, waiting, running)
            raise


def _look(
    sweep: Sweep,
    waiting: list[SweepJob],
    running: list[JobProcess],
    slots: Slots,
    trust: list[str] | None,
    progress: SweepProgress,
) -> list[JobProcess]:
    """Take note of jobs that ended, fill free places, show how far things are; the jobs that run now."""
    ended = [process for process in running if process.ended()]
    going = [process for process in running if process not in ended]
    free = [number for number in range(slots.count) if number not in {process.slot for process in going}]
    started = []
    for number in free[: len(waiting)]:
        started.append(start(sweep, waiting.pop(0), number, slots[number], trust))
        going.append(started[-1])
    if ended or started:
        sweep.save()
    progress.show(going, ended, started)
    if going:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return going


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGUSR1 stop it, as Ctrl-C does by itself."""

    def interrupt(signum: int, frame: object) -> None:
        raise Stopped(signum)

    before = {signum: signal.signal(signum, interrupt) for signum in NOTICES if signum != signal.SIGINT}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _stop(sweep: Sweep, waiting: list[SweepJob], running: list[JobProcess]) -> None:
    """Let the running jobs save, and write down what was cut."""
    for process in running:
        process.stop()
    deadline = time.monotonic() + SECONDS_TO_SAVE
    while not all(process.ended() or time.monotonic() > deadline for process in running):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    for process in running:
        if process.job.status == "running":
            process.kill()
            process.process.wait()
            process.ended()
        process.job.status, process.job.error = "interrupted", "stopped with the sweep"
        process.job.cut = process.job.folder is not None
    for job in waiting:
        job.status = "interrupted"
    sweep.save()


def wait_for_the_dead(jobs: list[SweepJob]) -> None:
    """Wait for jobs of a launcher that has died: they were told to save and end.

    Raises:
        UserError: If one of them does not end.
    """
    deadline = time.monotonic() + SECONDS_TO_SAVE
    for job in jobs:
        while job.status == "running" and job.pid is not None and _lives(job.pid):
            if time.monotonic() > deadline:
                raise UserError(f"sweep: job {job.index} is still running, as process {job.pid}")
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
