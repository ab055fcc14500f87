"""Shows the progress of a sweep: a line when a job starts or ends, and on a terminal a bar for each running job."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from aevq.config.terminal import harmless
from aevq.runs.sweep_record import differing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aevq.runs.sweep_record import Sweep
    from aevq.sweeps.process import JobProcess

__all__ = ["SweepProgress"]


class SweepProgress:
    """Shows a sweep while it runs.

    Args:
        sweep: The sweep.
        slots: Jobs at once.
    """

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

    def __enter__(self) -> SweepProgress:
        left, jobs = sum(job.status == "waiting" for job in self.sweep.jobs), len(self.sweep.jobs)
        self._print(f"sweep {self.sweep.path}: {left} of {jobs} jobs, {self.slots} at once")
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._print(f"sweep {self._counts()} in {_clock(time.monotonic() - self._since)}")

    def show(self, running: Iterable[JobProcess], ended: Iterable[JobProcess], started: Iterable[JobProcess]) -> None:
        """Update the display; `ended` and `started` are the jobs that did so since the last call."""
        for process in started:
            label = self._labels[process.job.index]
            self._print(f"job {process.job.index} started: {label}")
            self._bars[process.job.index] = self._progress.add_task(label, total=None, status="starting", left="")
        for process in ended:
            job, error = process.job, f": {process.job.error}" if process.job.error else ""
            self._print(
                f"job {job.index} {job.status} after {_clock(process.seconds)}: {self._labels[job.index]}{error}"
            )
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
        self._progress.console.print(harmless(line), soft_wrap=True, markup=False)

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
