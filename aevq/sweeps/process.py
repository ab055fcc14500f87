"""One job as a process: started in run mode, watched, and judged by how it ended."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aevq.errors import INTERRUPTED, PREEMPTED, UserError
from aevq.runs.result import Result, read_result, write_result
from aevq.runs.status import JOB_INDEX, JOB_SUFFIX, STATUS_FILE, SWEEP_FOLDER, TRUST_ONLY, read_status
from aevq.sweeps.record import differing

if TYPE_CHECKING:
    from aevq.sweeps.record import Sweep, SweepJob
    from aevq.sweeps.slots import Slot

__all__ = ["JobProcess", "start"]

# What a launcher of several processes leaves in the environment would make a job take itself for one of these.
FOREIGN = (
    "LOCAL_RANK",
    "NODE_RANK",
    "RANK",
    "WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_NTASKS",
    "TORCHELASTIC_RUN_ID",
    "PL_GLOBAL_SEED",
    "AEVQ_RUN_FOLDER",
)
LAST_LINES = 5
PR_SET_PDEATHSIG = 1


@dataclass
class JobProcess:
    """A running job.

    Attributes:
        sweep: Its sweep.
        job: Its entry in the sweep.
        slot: Number of the place it has.
        process: The process.
        since: When it was started, by the monotonic clock.
    """

    sweep: Sweep
    job: SweepJob
    slot: int
    process: subprocess.Popen[bytes]
    since: float = field(default_factory=time.monotonic)

    @property
    def told(self) -> dict[str, Any]:
        """What the job has told so far."""
        return read_status(_status_file(self.sweep, self.job))

    @property
    def seconds(self) -> float:
        """Wall time so far, in seconds."""
        return time.monotonic() - self.since

    def ended(self) -> bool:
        """Whether it has ended; then its entry says how, and so does its run."""
        code = self.process.poll()
        if code is None:
            return False
        job, result = self.job, self._result()
        job.seconds = round(job.seconds + self.seconds, 1)
        job.pid = None
        if code == 0 and result is not None and result.status == "finished":
            job.status, job.error = "finished", None
        elif code in (INTERRUPTED, PREEMPTED) or (result is not None and result.status == "interrupted"):
            stopped = result.error if result is not None and result.status == "interrupted" else None
            job.status, job.error, job.cut = "interrupted", stopped or "stopped by Ctrl-C or SIGTERM", True
        elif result is not None and result.status == "failed":
            job.status, job.error, job.cut = "failed", result.error, False
        else:
            # Without a word from its run it never came that far: what was cut before still is.
            job.status, job.error, job.cut = "failed", self._why(code), job.cut or result is not None
            self._mark(result)
        return True

    def stop(self) -> None:
        """Ask it to save and end."""
        self.process.terminate()

    def kill(self) -> None:
        """End it."""
        self.process.kill()

    def _result(self) -> Result | None:
        """What its run says of itself; notes the run's folder."""
        folder = self.told.get("folder")
        if folder is None:
            return None
        self.job.folder = Path(folder).name
        try:
            return read_result(Path(folder) / "result.json")
        except UserError:
            return None

    def _why(self, code: int) -> str:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        lines = (self.sweep.path / self.job.log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = " / ".join(line.strip() for line in lines[-LAST_LINES:] if line.strip())
        if code > 0 and lines and lines[-1].startswith("error: "):
            return lines[-1].removeprefix("error: ")
        return f"{how}; last said: {said}" if said else how

    def _mark(self, result: Result | None) -> None:
        """A run that could not say it itself is marked failed."""
        if result is not None and self.job.folder is not None:
            result.status, result.error = "failed", self.job.error
            write_result(result, self.sweep.path / self.job.folder / "result.json")


def start(sweep: Sweep, job: SweepJob, number: int, slot: Slot, trust: list[str] | None) -> JobProcess:
    """Start a job in a place.

    A job that was cut goes on in its folder; any other starts anew, in a new folder.

    Args:
        sweep: Its sweep.
        job: Its entry there.
        number: Of the place.
        slot: The place.
        trust: Packages whose classes a job read from a folder may name; None for jobs just typed, which may name any.
    """
    status = _status_file(sweep, job)
    status.parent.mkdir(exist_ok=True)
    status.unlink(missing_ok=True)
    job.log = f"logs/{job.index}.log"
    goes_on = job.cut and job.folder is not None and (sweep.path / job.folder / "config.yaml").is_file()
    changes = [resume_override(sweep.path / job.folder)] if goes_on and job.folder else list(job.overrides)
    if trust is not None:
        changes.append(f"trust=[{','.join(trust)}]")
    if not goes_on:
        job.folder, job.cut = None, False
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN} | slot.environment
    environment |= {
        STATUS_FILE: str(status),
        SWEEP_FOLDER: str(sweep.path),
        JOB_INDEX: str(job.index),
        JOB_SUFFIX: _suffix(differing(sweep.jobs)[job.index]),
        TRUST_ONLY: "" if trust is None else "1",
    }
    environment.setdefault("WANDB_RUN_GROUP", sweep.path.name)
    command = [sys.executable, "-m", "aevq.train", *sweep.flags, *changes]
    with (sweep.path / job.log).open("ab") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the launcher, which then stops its jobs
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    job.status, job.error, job.pid = "running", None, process.pid
    return JobProcess(sweep, job, number, process)


def resume_override(folder: Path) -> str:
    """`resume=<folder>` as Hydra reads it, whatever characters the folder's name has."""
    quoted = re.sub(r"(\\*)'", r"\1\1\\'", str(folder))
    return f"resume='{quoted}'"


def _status_file(sweep: Sweep, job: SweepJob) -> Path:
    return sweep.path / "logs" / f"{job.index}.status.json"


def _suffix(label: str) -> str:
    """What a sweep varies, as the end of a run's name, which has model and seed already: `model.beta=4` → `_beta-4`.

    No `=`: a name with one could not be typed after `resume=`.
    """
    said = ("model", "data", "seed", "(defaults)")
    varied = [override.rpartition("=") for override in label.split() if override.split("=")[0] not in said]
    words = [f"{re.split('[./]', key)[-1]}-{value}" for key, _, value in varied]
    return re.sub(r"[^\w.+-]+", "-", "_".join(["", *words]), flags=re.ASCII)[:60]


def _end_with_parent() -> None:
    """Be told to save and end when the launcher dies, whatever it dies of."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
