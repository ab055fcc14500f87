"""The runs in the folders of sweeps and runs: finished ones, and the jobs of a sweep that did not finish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aevq.errors import UserError
from aevq.report.records import Record, read_record
from aevq.runs.folder import RESULT_FILE, SWEEP_FILE, is_run
from aevq.runs.result import read_result
from aevq.runs.sweep_record import SweepJob, read_sweep

__all__ = ["Collection", "Unfinished", "collect"]

FINISHED = "finished"


@dataclass(frozen=True)
class Unfinished:
    """A job or run without metrics."""

    name: str  # of its folder, or its overrides if it has none
    status: str  # failed, interrupted, running or waiting
    error: str | None
    overrides: str
    log: str | None = None  # relative to the sweep's folder


@dataclass
class Collection:
    """The runs that were found."""

    finished: list[Record] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)  # command lines of the sweeps


def collect(folders: Iterable[Path]) -> Collection:
    """Return all runs in folders of sweeps and runs; a run that is found twice counts once.

    Raises:
        UserError: If a file of a run is damaged, or there is no run at all.
    """
    found, seen = Collection(), set[Path]()
    for folder in folders:
        for path, job in [(folder, None)] if is_run(folder) else _jobs(folder, found.commands):
            if path is None or path.resolve() not in seen:
                _add(found, path, job)
            if path is not None:
                seen.add(path.resolve())
    if not found.finished and not found.unfinished:
        raise UserError("compare: there is no run in the folders given")
    return found


def _jobs(folder: Path, commands: list[str]) -> Iterator[tuple[Path | None, SweepJob | None]]:
    """Yield the run folder and the record of each job of a sweep; of a sweep without a record, every run folder."""
    if not (folder / SWEEP_FILE).exists():
        paths = [path.parent for path in folder.glob(f"*/{RESULT_FILE}")]
        for path in sorted(paths, key=lambda path: (len(path.name.partition("_")[0]), path)):  # `2_ae` before `10_ae`
            yield path, None
        return
    sweep = read_sweep(folder)
    commands.append(sweep.command)
    for job in sweep.jobs:
        yield (folder / job.folder if job.folder else None), job


def _add(found: Collection, path: Path | None, job: SweepJob | None) -> None:
    """Add a run; it is finished only if both its sweep and its own result.json say so."""
    status, error, overrides, log = FINISHED, None, "", None
    if job is not None:
        status, error, overrides, log = job.status, job.error, " ".join(job.overrides), job.log
    if path is None or not is_run(path):
        found.unfinished.append(Unfinished(path.name if path else overrides, status, error, overrides, log))
        return
    result = read_result(path / RESULT_FILE)
    if status == result.status == FINISHED:
        found.finished.append(read_record(path))
        return
    worse = status if status != FINISHED else result.status
    found.unfinished.append(Unfinished(path.name, worse, error or result.error, overrides or result.command, log))
