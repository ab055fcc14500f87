"""Which runs are meant: the folders of a sweep, with those of its jobs that came to nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aevq.config.schema import check_value
from aevq.errors import UserError, did_you_mean
from aevq.report.records import Record, read_record
from aevq.runs.result import read_result
from aevq.runs.sealed import unseal_json

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Collection", "Unfinished", "collect", "find_folder", "is_run", "is_sweep"]

LATEST, LATEST_SWEEP = "latest", "latest_sweep"
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
        jobs = [(folder, {})] if is_run(folder) else _jobs(folder, found.commands)
        for path, job in jobs:
            if path is None or path.resolve() not in seen:
                _sort_in(path, job, found)
            if path is not None:
                seen.add(path.resolve())
    if not found.finished and not found.unfinished:
        raise UserError("compare: there is no run in the folders given")
    return found


def _sort_in(path: Path | None, job: dict[str, Any], found: Collection) -> None:
    """Put a run among the finished or the unfinished: finished is what its sweep and the run itself call so."""
    overrides = " ".join(map(str, job.get("overrides", [])))
    status, error = str(job.get("status", FINISHED)), job.get("error")
    if path is None or not is_run(path):
        found.unfinished.append(Unfinished(_name(path, overrides), status, error, overrides, job.get("log")))
        return
    result = read_result(path / "result.json")
    if status == result.status == FINISHED:
        found.finished.append(read_record(path))
        return
    worse = status if status != FINISHED else result.status
    found.unfinished.append(
        Unfinished(path.name, worse, error or result.error, overrides or result.command, job.get("log"))
    )


def _name(path: Path | None, overrides: str) -> str:
    return path.name if path else overrides


def _jobs(sweep: Path, commands: list[str]) -> list[tuple[Path | None, dict[str, Any]]]:
    """Folder of each job of a sweep and what `sweep.json` says of it; without that file, every run below."""
    content = _read_sweep(sweep)
    if content is None:
        return [(path.parent, {}) for path in sorted(sweep.glob("*/result.json"), key=_natural)]
    commands.append(str(content.get("command", "")))
    return [(sweep / job["folder"] if job.get("folder") else None, job) for job in content["jobs"]]


def _read_sweep(sweep: Path) -> dict[str, Any] | None:
    path = sweep / "sweep.json"
    if not path.exists():
        return None
    try:
        content = unseal_json(path.read_text(encoding="utf-8"))
        for job in content["jobs"]:
            check_value("status", job["status"], str)
            check_value("overrides", job["overrides"], list[str])
            check_value("folder", job.get("folder"), str | None)
            for name in ("error", "log"):
                check_value(name, job.get(name), str | None)
            if (folder := job.get("folder")) and Path(folder).name != folder:
                raise ValueError(f"a job's folder is elsewhere: {folder!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable sweep ({type(error).__name__}: {error})") from error
    return content


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run."""
    return (path / "result.json").is_file()


def is_sweep(path: Path) -> bool:
    """Whether a folder holds a sweep's record, or runs."""
    return (path / "sweep.json").is_file() or any(path.glob("*/result.json"))


def find_folder(name: str, runs: Path) -> Path:
    """A run's or a sweep's folder.

    Args:
        name: Its path, its name in `runs` or in `runs/sweep`, or `latest` for the newest sweep.
        runs: Where runs are kept.

    Raises:
        UserError: If there is none.
    """
    sweeps = runs / "sweep"
    if name == LATEST:
        return _newest(runs)
    for path in (Path(name), runs / name, sweeps / name):
        if is_run(path) or is_sweep(path):
            return path
    known = [path.name for folder in (runs, sweeps) if folder.is_dir() for path in folder.iterdir() if is_run(path)]
    known += [path.name for path in sweeps.glob("*") if is_sweep(path)]
    hint = did_you_mean(name, known) if len(known) <= 10 else f"({len(known)} are in {runs})"
    raise UserError(f"{name}: there is no run and no sweep; {hint}")


def _newest(runs: Path) -> Path:
    """The sweep that began last: the one that the link points to, or, without links, by the time that it says.

    When its folder was last written to says nothing: a report is written there too.
    """
    sweeps = runs / "sweep"
    if is_sweep(runs / LATEST_SWEEP):
        return (runs / LATEST_SWEEP).resolve()
    known = [path for path in sweeps.glob("*") if is_sweep(path)]
    if not known:
        raise UserError(f"latest: there is no sweep in {sweeps.absolute()}")
    return max(known, key=lambda path: (_began(path), path.name))


def _began(sweep: Path) -> datetime:
    content = _read_sweep(sweep) or {}
    times = [str(content["started"])] if "started" in content else _starts(sweep)
    parsed = [_time(text) for text in times]
    return min(parsed, default=datetime.min.replace(tzinfo=UTC))


def _starts(sweep: Path) -> list[str]:
    return [read_result(path).started for path in sweep.glob("*/result.json")]


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return time if time.tzinfo else time.astimezone()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts `10_ae` behind `2_ae`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path)) if part]
