"""The runs of a comparison: those in the folders of sweeps and runs, with the jobs of a sweep that did not finish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from aevq.config.checks import argument_error, settings
from aevq.errors import UserError, did_you_mean
from aevq.report.records import Record, read_record
from aevq.runs.result import read_result

__all__ = ["Collection", "Unfinished", "collect", "find_folder", "is_run", "is_sweep"]

LATEST, LATEST_SWEEP, SWEEP_FILE = "latest", "latest_sweep", "sweep.json"
FINISHED = "finished"


@dataclass(frozen=True)
class Unfinished:
    """A job or run without metrics.

    Attributes:
        name: Name of its folder, or its overrides if it has none.
        status: failed, interrupted, running or waiting.
        error: The reason, if known.
        overrides: Its command-line overrides.
        log: Its log file, relative to the sweep's folder.
    """

    name: str
    status: str
    error: str | None
    overrides: str
    log: str | None = None


@dataclass
class Collection:
    """The runs that were found.

    Attributes:
        finished: Runs with metrics.
        unfinished: Jobs and runs without metrics.
        commands: Command lines of the sweeps.
    """

    finished: list[Record] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


@settings
class _Job:
    overrides: list[str]
    status: str = FINISHED
    folder: str | None = None
    error: str | None = None
    log: str | None = None


@settings
class _Sweep:
    jobs: list[_Job]
    command: str = ""


def collect(folders: Iterable[Path]) -> Collection:
    """Return all runs in folders of sweeps and runs; a run that is found twice counts once.

    Raises:
        UserError: If a file of a run is damaged, or there is no run at all.
    """
    found, seen = Collection(), set[Path]()
    for folder in folders:
        jobs = [(folder, _Job([]))] if is_run(folder) else _jobs(folder, found.commands)
        for path, job in jobs:
            if path is None or path.resolve() not in seen:
                _add(found, path, job)
            if path is not None:
                seen.add(path.resolve())
    if not found.finished and not found.unfinished:
        raise UserError("compare: there is no run in the folders given")
    return found


def _add(found: Collection, path: Path | None, job: _Job) -> None:
    """Add a run; it is finished only if both its sweep and its own result.json say so."""
    overrides = " ".join(job.overrides)
    if path is None or not is_run(path):
        name = path.name if path else overrides
        found.unfinished.append(Unfinished(name, job.status, job.error, overrides, job.log))
        return
    result = read_result(path / "result.json")
    if job.status == result.status == FINISHED:
        found.finished.append(read_record(path))
        return
    status = job.status if job.status != FINISHED else result.status
    error = job.error or result.error
    found.unfinished.append(Unfinished(path.name, status, error, overrides or result.command, job.log))


def _jobs(sweep: Path, commands: list[str]) -> Iterator[tuple[Path | None, _Job]]:
    """Yield the run folder of each job of a sweep and what sweep.json says of it; without that file, every run."""
    if not (sweep / SWEEP_FILE).exists():
        for path in sorted(sweep.glob("*/result.json"), key=lambda path: _by_index(path.parent.name)):
            yield path.parent, _Job([])
        return
    content = _read_sweep(sweep / SWEEP_FILE)
    commands.append(content.command)
    for job in content.jobs:
        yield (sweep / job.folder if job.folder else None), job


def _read_sweep(path: Path) -> _Sweep:
    try:
        content = TypeAdapter(_Sweep).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = argument_error(error) if isinstance(error, ValidationError) else error
        raise UserError(f"{path}: not a readable sweep ({reason})") from error
    for job in content.jobs:
        if job.folder and (Path(job.folder).name != job.folder or job.folder == ".."):
            raise UserError(f"{path}: expected the name of a folder in that of the sweep, got {job.folder!r}")
    return content


def _by_index(name: str) -> tuple[float, str]:
    """Sort key that puts `2_ae` before `10_ae`, and names without a number last."""
    return float("".join(takewhile(str.isdecimal, name)) or "inf"), name


def is_run(path: Path) -> bool:
    """Return whether a folder is that of a run."""
    return (path / "result.json").is_file()


def is_sweep(path: Path) -> bool:
    """Return whether a folder holds the record of a sweep, or runs."""
    return (path / SWEEP_FILE).is_file() or any(path.glob("*/result.json"))


def find_folder(name: str, runs: Path) -> Path:
    """Return the folder of a run or a sweep.

    Args:
        name: Its path, its name in `runs` or in `runs/sweep`, or `latest` for the newest sweep.
        runs: Folder of all runs.

    Raises:
        UserError: If there is none.
    """
    sweeps = runs / "sweep"
    places = [Path(name), runs / name, sweeps / name]
    if name == LATEST:  # without the link, the names of the folders tell: they begin with the time
        places = [runs / LATEST_SWEEP, *sorted(sweeps.glob("*"), reverse=True)]
    for path in places:
        if is_run(path) or is_sweep(path):
            return path.resolve() if name == LATEST else path
    if name == LATEST:
        raise UserError(f"latest: there is no sweep in {sweeps.absolute()}")
    known = [path.name for folder in (runs, sweeps) if folder.is_dir() for path in folder.iterdir() if is_run(path)]
    known += [path.name for path in sweeps.glob("*") if is_sweep(path)]
    hint = did_you_mean(name, known) if len(known) <= 10 else f"({len(known)} are in {runs})"
    raise UserError(f"{name}: there is no run and no sweep; {hint}")
