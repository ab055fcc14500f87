"""What a terminal shows of a sweep: one line a running job, those that failed, and how much is left.

Where the output is no terminal, a line is printed when a job starts and when it ends.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aevq.sweeps.record import differing

if TYPE_CHECKING:
    from aevq.sweeps.process import JobProcess
    from aevq.sweeps.record import Sweep, SweepJob

__all__ = ["SweepProgress"]

RECENT = 8  # ended jobs that are shown


class SweepProgress:
    """Shows a sweep while it runs.

    Args:
        sweep: What runs.
        places: Jobs at once.
    """

    def __init__(self, sweep: Sweep, places: int) -> None:
        self.sweep, self.places = sweep, places
        self._console = Console(stderr=True, highlight=False)
        self._labels = differing(sweep.jobs)
        self._ended: list[SweepJob] = []
        self._took: list[float] = []
        self._since = time.monotonic()
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)

    def __enter__(self) -> SweepProgress:
        left = sum(job.status == "waiting" for job in self.sweep.jobs)
        jobs = f"{left} jobs" if left == len(self.sweep.jobs) else f"{left} of {len(self.sweep.jobs)} jobs"
        self._console.print(f"[bold]sweep[/] {self.sweep.path}: {jobs}, {self.places} at once", soft_wrap=True)
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        counts = self._counts()
        self._console.print(f"[bold]sweep[/] {counts} in {_clock(time.monotonic() - self._since)}", soft_wrap=True)

    def show(self, running: list[JobProcess], ended: list[JobProcess], started: list[JobProcess]) -> None:
        """Show the state of things."""
        self._ended += [process.job for process in ended]
        self._took += [process.seconds for process in ended if process.job.status == "finished"]
        if self._console.is_terminal:
            self._live.update(Group(self._table(running), Text(self._left(running), style="dim")))
            return
        for process in started:
            self._console.print(f"job {process.job.index} started: {self._labels[process.job.index]}", soft_wrap=True)
        for process in ended:
            job, label = process.job, self._labels[process.job.index]
            why = f": {job.error}" if job.error else ""
            line = f"job {job.index} {job.status} after {_clock(process.seconds)}: {label}{why}"
            self._console.print(line, soft_wrap=True, markup=False)

    def _table(self, running: list[JobProcess]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, expand=False)
        for title in ("job", "what", "status", "done", "figures", "time", "left"):
            table.add_column(title, justify="right" if title in ("job", "done", "time", "left") else "left")
        for job in self._shown():
            style = {"finished": "green", "failed": "red", "interrupted": "yellow"}[job.status]
            status = Text(job.status, style=style)
            error = Text(job.error or "", overflow="ellipsis", no_wrap=True)
            table.add_row(str(job.index), self._labels[job.index], status, "", error, _clock(job.seconds), "")
        for process in running:
            told = process.told
            cells = (told.get("stage", "starting"), _share(told), told.get("figures", ""))
            left = _time_left(told)
            table.add_row(
                str(process.job.index), self._labels[process.job.index], *cells, _clock(process.seconds), left
            )
        return table

    def _shown(self) -> list[SweepJob]:
        """Every job that failed, and the last of the others."""
        recent = self._ended[-RECENT:]
        return [job for job in self._ended if job.status == "failed" or job in recent]

    def _counts(self) -> str:
        states = [job.status for job in self.sweep.jobs]
        names = ("finished", "failed", "interrupted", "running", "waiting")
        return ", ".join(f"{states.count(name)} {name}" for name in names if name in states)

    def _left(self, running: list[JobProcess]) -> str:
        waiting = sum(job.status == "waiting" for job in self.sweep.jobs)
        if not self._took:
            return self._counts()
        mean = sum(self._took) / len(self._took)
        begun = sum(max(0.0, mean - process.seconds) for process in running)
        return f"{self._counts()}; about {_clock((waiting * mean + begun) / self.places)} left"


def _share(told: dict[str, Any]) -> str:
    return f"{told['step']}/{told['steps']}" if told.get("steps") else ""


def _time_left(told: dict[str, Any]) -> str:
    return _clock(told["seconds_left"]) if told.get("seconds_left") is not None else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
