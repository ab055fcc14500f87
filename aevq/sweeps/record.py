"""sweep.json: the jobs of a sweep and what became of each.

It is written when a job starts or ends. Whoever finds a job `running` of a sweep that nobody runs any more knows that
it was cut.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from aevq.config.schema import Whole, check_value
from aevq.errors import UserError, did_you_mean, expect
from aevq.files import atomic_write
from aevq.runs.sealed import seal_json, unseal_json

__all__ = ["SWEEP_FILE", "Sweep", "SweepJob", "differing", "find_sweep", "read_sweep"]

SWEEP_FILE = "sweep.json"
SCHEMA_VERSION = 1
LATEST = "latest"
LATEST_SWEEP = "latest_sweep"  # a link beside the folder of the sweeps


@dataclass
class SweepJob:
    """One job.

    Attributes:
        index: Its number in the sweep.
        overrides: What its command line changes.
        status: waiting, running, finished, failed or interrupted.
        folder: Of its run, in the sweep's; None before it has one.
        error: Why it failed.
        cut: Whether it was ended from outside, so that it goes on from its last checkpoint.
        log: What it printed, a file in the sweep's folder.
        pid: Its process, while it runs.
        seconds: Wall time, over all starts.
    """

    index: int
    overrides: list[str]
    status: str = "waiting"
    folder: str | None = None
    error: str | None = None
    cut: bool = False
    log: str = ""
    pid: int | None = None
    seconds: float = 0.0


@dataclass
class Sweep:
    """A sweep's folder and jobs.

    Attributes:
        path: The folder.
        command: The command line that made it.
        started: When, ISO 8601 with time zone.
        flags: Further arguments of each job's command line, say `--config-dir` and its folder.
        jobs: In order.
    """

    path: Path
    command: str
    started: str
    flags: list[str] = field(default_factory=list)
    jobs: list[SweepJob] = field(default_factory=list)

    @property
    def status(self) -> str:
        """Running while a job waits or runs; else interrupted, failed or finished, by the worst of its jobs."""
        states = {job.status for job in self.jobs}
        if states & {"waiting", "running"}:
            return "running"
        return next((state for state in ("interrupted", "failed") if state in states), "finished")

    def save(self) -> None:
        """Write `sweep.json`."""
        values = {"schema_version": SCHEMA_VERSION, "status": self.status, **asdict(self)}
        del values["path"]
        atomic_write(self.path / SWEEP_FILE, seal_json(values))


def read_sweep(path: Path) -> Sweep:
    """The sweep in a folder.

    Raises:
        UserError: If its record is missing or not readable.
    """
    try:
        values = unseal_json((path / SWEEP_FILE).read_text(encoding="utf-8"))
        known = values["schema_version"] == SCHEMA_VERSION
        jobs = [SweepJob(**job) for job in values["jobs"]] if known else []
        for job in jobs:
            _check(job)
        check_value("flags", values["flags"], list[str])
        sweep = Sweep(path, values["command"], values["started"], values["flags"], jobs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path / SWEEP_FILE}: not a readable record of a sweep ({error})") from error
    expect(known, f"{path / SWEEP_FILE}", f"schema_version {SCHEMA_VERSION}", values["schema_version"])
    return sweep


def _check(job: SweepJob) -> None:
    """Refuse what no sweep has written: a stranger's record may name folders elsewhere.

    Raises:
        UserError: If a value is of a wrong type, or a folder's name is a path.
    """
    check_value("index", job.index, Whole)
    check_value("overrides", job.overrides, list[str])
    check_value("status", job.status, Literal["waiting", "running", "finished", "failed", "interrupted"])
    check_value("pid", job.pid, int | None)
    check_value("folder", job.folder, str | None)
    if job.folder is not None:
        plain = job.folder not in ("", ".", "..") and not set("/\\\0") & set(job.folder)
        expect(plain, "folder", "the name of a folder in that of the sweep", job.folder)


def find_sweep(name: str, runs: Path) -> Path:
    """Folder of the sweep called `name`: a path, a folder's name in `<runs>/sweep`, or `latest`.

    Raises:
        UserError: If there is none.
    """
    for path in (Path(name), runs / "sweep" / name):
        if (path / SWEEP_FILE).is_file():
            return path.resolve()
    known = sorted(path.parent.name for path in (runs / "sweep").glob(f"*/{SWEEP_FILE}"))
    if name != LATEST:
        raise UserError(f"sweep: no sweep {name!r} in {(runs / 'sweep').absolute()}; {did_you_mean(name, known)}")
    if not known:
        raise UserError(f"sweep=latest: there is no sweep in {(runs / 'sweep').absolute()}")
    link = runs / LATEST_SWEEP
    return link.resolve() if (link / SWEEP_FILE).is_file() else (runs / "sweep" / known[-1]).resolve()


def differing(jobs: list[SweepJob]) -> dict[int, str]:
    """What tells each job from the others: the overrides that not all jobs have, by the job's index."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    return {job.index: " ".join(o for o in job.overrides if o not in common) or "(defaults)" for job in jobs}
