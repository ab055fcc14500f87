"""Which folder a new run gets. The folder of a job that a scheduler may restart has to be the same at each start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aevq.config.rank import rank
from aevq.files import point_latest
from aevq.runs.folder import create_folder, make_folder
from aevq.runs.run import Run
from aevq.runs.status import JOB_INDEX, JOB_SUFFIX, RUN_FOLDER, SWEEP_FOLDER
from aevq.training.cluster import job_name

if TYPE_CHECKING:
    from aevq.training.parts import Parts


class SweepJobPlace(NamedTuple):
    """Where a job of a sweep by another launcher than ours runs: the sweep's folder and the job's number."""

    folder: Path
    number: int


@dataclass(frozen=True)
class NewFolder:
    """A run folder to be created.

    Attributes:
        path: The folder; where it is taken, a number is appended unless it is stable.
        stable: Whether it is the same at each start of the job and in all its processes.
        latest: Whether `latest` beside it will point to it.
    """

    path: Path
    stable: bool = False
    latest: bool = False

    def create(self, active: bool) -> Path:
        """Create the folder and return it.

        Args:
            active: Whether this process is the one that writes.

        Raises:
            UserError: If it cannot be created.
        """
        path = make_folder(self.path) if self.stable else create_folder(self.path.parent, self.path.name)
        if self.latest and active:
            point_latest(path.parent, path)
        return path


def open_run(parts: Parts, place: SweepJobPlace | None = None) -> Run:
    """Return a run in a new folder, named after the data really used; the same one in all processes of a job.

    Args:
        parts: Of the run; its data are prepared.
        place: In the sweep of another launcher, if it runs in one.

    Raises:
        UserError: If the folder cannot be created.
    """
    if (given := os.environ.get(RUN_FOLDER)) and rank() > 0:  # by rank 0, which started this process
        return Run(Path(given))
    config = parts.config
    name = f"{type(parts.model).__name__.lower()}_{parts.data.name}_s{config['seed']}"
    runs = Path(config["paths"]["runs"]).absolute()
    folder = resolve_run_folder(name, runs, job_name(config), place, os.environ, datetime.now())
    return Run(folder.create(active=rank() == 0))


def resolve_run_folder(
    name: str,
    runs: Path,
    scheduled: str | None,
    place: SweepJobPlace | None,
    environment: Mapping[str, str],
    now: datetime,
) -> NewFolder:
    """Return the folder for a new run.

    Args:
        name: Of model, data set and seed.
        runs: Where runs are kept.
        scheduled: Name of the scheduler's job, if there is one.
        place: In the sweep of another launcher, if it runs in one.
        environment: In which our own launcher names the folder of the sweep.
        now: Time of the start.
    """
    if sweep := environment.get(SWEEP_FOLDER):
        return NewFolder(Path(sweep) / f"{environment[JOB_INDEX]}_{name}{environment[JOB_SUFFIX]}")
    if place is not None:
        return NewFolder(place.folder / f"{place.number}_{name}", stable=scheduled is not None)
    if scheduled is not None:
        return NewFolder(runs / f"{scheduled}_{name}", stable=True, latest=True)
    return NewFolder(runs / f"{now:%Y-%m-%d_%H-%M-%S}_{name}", latest=True)
