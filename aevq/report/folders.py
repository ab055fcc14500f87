"""Which runs are meant: the folders of a sweep, with those of its jobs that came to nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aevq.errors import UserError
from aevq.report.records import Record, read_record
from aevq.runs.folder import RESULT_FILE, SWEEP_FILE, is_run
from aevq.runs.result import read_result
from aevq.runs.sweep_record import SweepJob, read_sweep

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Collection", "Unfinished", "collect"]

FINISHED = "finished"


@dataclass(frozen=True)
class Unfinished:
    """A job or run without figures.

    Attributes:
        name: Of its folder, or its overrides where it has none.
        status: failed, interrupted, running or waiting.
        error: Why, where it is known.
        overrides: What it was started with, as typed.
        log: Where to read more, relative to the sweep's folder.
    """

    name: str
    status: str
    error: str | None
    overrides: str
    log: str | None = None


@dataclass
class Collection:
    """Everything that was found.

    Attributes:
        finished: Runs that have figures.
        unfinished: Jobs and runs that have none.
        commands: Command lines of the sweeps.
    """

    finished: list[Record] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def collect(folders: Iterable[Path]) -> Collection:
    """All runs in folders of sweeps and runs; one that is met twice counts once.

    Raises:
        UserError: If a file of a run cannot be read, or there is no run at all.
    """
    found, seen = Collection(), set[Path]()
    for folder in folders:
        for path, job in [(folder, None)] if is_run(folder) else _jobs(folder, found.commands):
            if path is None or path.resolve() not in seen:
                _sort_in(path, job, found)
            if path is not None:
                seen.add(path.resolve())
    if not found.finished and not found.unfinished:
        raise UserError("compare: there is no run in the folders given")
    return found


def _sort_in(path: Path | None, job: SweepJob | None, found: Collection) -> None:
    """Put a run among the finished or the unfinished: finished is what its sweep and the run itself call so."""
    overrides, status, error = "", FINISHED, None
    if job is not None:
        overrides, status, error = " ".join(job.overrides), job.status, job.error
    log = job.log if job else None
    if path is None or not is_run(path):
        found.unfinished.append(Unfinished(path.name if path else overrides, status, error, overrides, log))
        return
    result = read_result(path / RESULT_FILE)
    if status == result.status == FINISHED:
        found.finished.append(read_record(path))
        return
    worse = status if status != FINISHED else result.status
    found.unfinished.append(Unfinished(path.name, worse, error or result.error, overrides or result.command, log))


def _jobs(folder: Path, commands: list[str]) -> list[tuple[Path | None, SweepJob | None]]:
    """Folder and entry of each job of a sweep; of a sweep without a record, every run in its folder."""
    if not (folder / SWEEP_FILE).exists():
        return [(path.parent, None) for path in sorted(folder.glob(f"*/{RESULT_FILE}"), key=_natural)]
    sweep = read_sweep(folder)
    commands.append(sweep.command)
    return [(folder / job.folder if job.folder else None, job) for job in sweep.jobs]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts `10_ae` behind `2_ae`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path)) if part]
