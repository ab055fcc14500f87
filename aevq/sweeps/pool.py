"""Runs the jobs of a sweep, several at once, and shows their progress; a killed job does not affect the others."""

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from aevq.runs.sweep_record import Sweep, SweepJob, differing
from aevq.sweeps.process import JobProcess
from aevq.sweeps.slots import Slot
from aevq.training.stop import StopRequest

POLL_SECONDS = 0.3
SECONDS_TO_SAVE = 60


def run_jobs(sweep: Sweep, jobs: list[SweepJob], slots: list[Slot], trust: list[str] | None = None) -> None:
    """Run `jobs` of a sweep to their ends, and keep the record up to date.

    Ctrl-C, SIGTERM and SIGUSR1 stop the running jobs, which save a checkpoint; all unfinished jobs are marked
    interrupted. Each slot runs one job at a time; `trust` is that of `JobProcess.start`.

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


class SweepProgress:
    """Prints a line when a job starts or ends; on a terminal it shows a bar for each running job."""

    def __init__(self, sweep: Sweep, slots: int) -> None:
        self.sweep, self.slots = sweep, slots
        self._labels = differing(sweep.jobs)
        self._since = time.monotonic()
        self._durations: list[float] = []  # of the jobs that finished
        self._bars: dict[int, TaskID] = {}  # of the running jobs, by index
        console = Console(stderr=True, highlight=False)
        description, status, left = (
            TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[status]", "fields[left]")
        )
        columns = (description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), left, status)
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal, refresh_per_second=4)
        self._all = self._progress.add_task("all jobs", total=len(sweep.jobs), status="", left="")

    def __enter__(self) -> Self:
        left, jobs = sum(job.status == "waiting" for job in self.sweep.jobs), len(self.sweep.jobs)
        self._print(f"sweep {self.sweep.path}: {left} of {jobs} jobs, {self.slots} at once")
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._print(f"the sweep ended after {_clock(time.monotonic() - self._since)}; jobs: {self._counts()}")

    def show(self, running: Iterable[JobProcess], ended: Iterable[JobProcess], started: Iterable[JobProcess]) -> None:
        """Update the display; `ended` and `started` are the jobs that did so since the last call."""
        for process in started:
            label = self._labels[process.job.index]
            self._print(f"job {process.job.index} started: {label}")
            self._bars[process.job.index] = self._progress.add_task(label, total=None, status="starting", left="")
        for process in ended:
            job, error = process.job, f": {process.job.error}" if process.job.error else ""
            took, label = _clock(process.seconds), self._labels[job.index]
            self._print(f"job {job.index} {job.status} after {took}: {label}{error}")
            self._progress.remove_task(self._bars.pop(job.index))
            self._durations += [process.seconds] * (job.status == "finished")
        for process in running:
            status = process.status
            self._progress.update(
                self._bars[process.job.index],
                completed=status.get("step") or 0,
                total=status.get("steps"),
                status=f"{status.get('stage', 'starting')}  {status.get('metrics', '')}",
                left=_left(status.get("seconds_left")),
            )
        done = sum(job.status not in ("waiting", "running") for job in self.sweep.jobs)
        self._progress.update(self._all, completed=done, status=self._counts(), left=_left(self._seconds_left(running)))

    def _print(self, line: str) -> None:
        self._progress.console.print(line, soft_wrap=True, markup=False)

    def _counts(self) -> str:
        states = [job.status for job in self.sweep.jobs]
        return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))

    def _seconds_left(self, running: Iterable[JobProcess]) -> float | None:
        """Estimate the time left from the mean duration of the jobs that finished."""
        if not self._durations:
            return None
        mean = sum(self._durations) / len(self._durations)
        waiting = mean * sum(job.status == "waiting" for job in self.sweep.jobs)
        return (waiting + sum(max(0.0, mean - process.seconds) for process in running)) / self.slots


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f"{_clock(seconds)} left"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
