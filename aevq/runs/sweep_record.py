"""sweep.json: the jobs of a sweep and their states.

The launcher writes it when a job starts or ends. If a job is `running` but no process runs the sweep, the launcher was
killed.
"""

from dataclasses import asdict, field
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt
from pydantic.dataclasses import dataclass

from aevq.config.checks import STRICT, Name
from aevq.runs.folder import SWEEP_FILE, read_json, write_json


@dataclass(config=STRICT)
class SweepJob:
    """One job of a sweep."""

    index: NonNegativeInt
    overrides: list[str]  # its command line: what it changes in the configuration
    status: Literal["waiting", "running", "finished", "failed", "interrupted"] = "waiting"
    folder: Name | None = None  # name of its run folder in the sweep's folder; None before it has one
    error: str | None = None  # why it failed or was interrupted
    resumable: bool = False  # whether it was ended from outside, so that it resumes from its last checkpoint
    seconds: NonNegativeFloat = 0.0  # wall time, summed over all starts

    @property
    def log(self) -> str:
        """File with the output of the job, relative to the sweep's folder."""
        return f"logs/{self.index}.log"

    @property
    def status_file(self) -> str:
        """File in which the job reports its progress, relative to the sweep's folder."""
        return f"logs/{self.index}.status.json"


@dataclass(config=STRICT)
class Sweep:
    """A sweep's record."""

    schema_version: Literal[1] = field(default=1, kw_only=True)
    command: str  # the command line that started it
    started: str  # ISO 8601 with time zone
    # Arguments that say where each job finds further yaml files: `--config-dir`, `hydra.searchpath`.
    flags: list[str] = field(default_factory=list)
    jobs: list[SweepJob] = field(default_factory=list)
    path: Path = field(default=Path(), kw_only=True)  # the sweep's folder; not stored

    @property
    def status(self) -> str:
        """Running while a job waits or runs; otherwise interrupted, failed or finished, by its worst job."""
        states = {job.status for job in self.jobs}
        if states & {"waiting", "running"}:
            return "running"
        return next((state for state in ("interrupted", "failed") if state in states), "finished")

    def save(self) -> None:
        """Write `sweep.json`."""
        values = {**asdict(self), "status": self.status}
        del values["path"]
        write_json(self.path / SWEEP_FILE, values)


def read_sweep(path: Path) -> Sweep:
    """Return the record of the sweep in a folder; a UserError if it is missing, incomplete or of another version."""
    sweep = read_json(path / SWEEP_FILE, Sweep)
    sweep.path = path
    return sweep


def differing(jobs: list[SweepJob]) -> dict[int, str]:
    """Return by index what distinguishes each job: the overrides that not all jobs have in common, else all of them."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    own = {job.index: [override for override in job.overrides if override not in common] for job in jobs}
    return {job.index: " ".join(own[job.index] or job.overrides) or "(defaults)" for job in jobs}
