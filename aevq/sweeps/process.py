"""One job as a process of its own: how it is started, and what its end means."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

from aevq.config.rank import LAUNCHED, RANKS
from aevq.errors import INTERRUPTED, PREEMPTED, UserError
from aevq.runs.folder import CONFIG_FILE, RESULT_FILE
from aevq.runs.result import Result, read_result, write_result
from aevq.runs.status import JOB_INDEX, JOB_SUFFIX, RUN_FOLDER, STATUS_FILE, SWEEP_FOLDER, TRUST_ONLY, read_status
from aevq.runs.sweep_record import Sweep, SweepJob, differing

# A program that started the launcher as one of several processes may have set these. A job that inherited them would
# take itself for one of those processes.
NOT_INHERITED = {*RANKS, *LAUNCHED, "MASTER_PORT", "PL_GLOBAL_SEED", RUN_FOLDER}
LAST_LINES, LONGEST_SUFFIX = 5, 60
PR_SET_PDEATHSIG = 1


@dataclass
class JobProcess:
    """A running job: its sweep, its entry in the sweep, its process, and when it was started (monotonic clock)."""

    sweep: Sweep
    job: SweepJob
    process: subprocess.Popen[bytes]
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, sweep: Sweep, job: SweepJob, environment: dict[str, str], trust: list[str] | None) -> Self:
        """Start a job in the environment of its slot: resume its run if that was interrupted, else start a new run.

        A job from a sweep.json may name only classes of the packages in `trust`; None is for a job just typed.
        """
        status = sweep.path / job.status_file
        status.parent.mkdir(exist_ok=True)
        status.unlink(missing_ok=True)
        overrides = list(job.overrides)
        if job.resumable and job.folder and (sweep.path / job.folder / CONFIG_FILE).is_file():
            overrides = [resume_override(sweep.path / job.folder)]
        else:
            job.folder, job.resumable = None, False
        if trust is not None:
            overrides.append(f"trust=[{','.join(trust)}]")
        inherited = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
        contract = {
            STATUS_FILE: str(status),
            SWEEP_FOLDER: str(sweep.path),
            JOB_INDEX: str(job.index),
            JOB_SUFFIX: _suffix(differing(sweep.jobs)[job.index]),
            TRUST_ONLY: "" if trust is None else "1",
        }
        with (sweep.path / job.log).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "aevq.train", *sweep.flags, *overrides],
                env=inherited | environment | contract,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the launcher only, which then stops its jobs
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        job.status, job.error = "running", None
        return cls(sweep, job, process)

    @property
    def status(self) -> dict[str, Any]:
        """What the job has reported so far; see `aevq.runs.status`."""
        return read_status(self.sweep.path / self.job.status_file)

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.monotonic() - self.since

    def poll(self) -> bool:
        """Return whether the process has ended; if so, record in its entry and in its run how."""
        code = self.process.poll()
        if code is None or self.job.status != "running":
            return code is not None
        job, result = self.job, self._result()
        status, error = (result.status, result.error) if result is not None else (None, None)
        job.seconds = round(job.seconds + self.seconds, 1)
        if code == 0 and status == "finished":
            job.status = "finished"
        elif status == "interrupted" or code in (INTERRUPTED, PREEMPTED):
            stopped = error if status == "interrupted" else None
            job.status, job.error, job.resumable = "interrupted", stopped or "stopped by Ctrl-C or SIGTERM", True
        elif status == "failed":
            job.status, job.error, job.resumable = "failed", error, False
        else:  # killed, or ended before its run could record why; an older checkpoint stays usable
            job.status, job.error, job.resumable = "failed", self._reason(code), job.resumable or result is not None
            if result is not None and job.folder is not None:
                result.status, result.error = "failed", job.error
                write_result(result, self.sweep.path / job.folder / RESULT_FILE)
        return True

    def _result(self) -> Result | None:
        """Return the result.json of its run, if there is one, and note the run's folder."""
        folder = self.status.get("folder")
        if folder is None:
            return None
        self.job.folder = Path(folder).name
        try:
            return read_result(Path(folder) / RESULT_FILE)
        except UserError:
            return None

    def _reason(self, code: int) -> str:
        lines = (self.sweep.path / self.job.log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if code > 0 and lines and lines[-1].startswith("error: "):
            return lines[-1].removeprefix("error: ")
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        output = " / ".join(line.strip() for line in lines[-LAST_LINES:] if line.strip())
        return f"{how}; last output: {output}" if output else how


def resume_override(folder: Path) -> str:
    """Return `resume=<folder>`, quoted for Hydra whatever characters the folder's name has."""
    quoted = re.sub(r"(\\*)'", r"\1\1\\'", str(folder))
    return f"resume='{quoted}'"


def _suffix(label: str) -> str:
    """Return what a sweep varies as the end of a run's name: `model.beta=4` → `_beta-4`.

    The name says model, data and seed anyway. It contains no `=`, so that it can be typed after `resume=`. Of a long
    label it has the first words, each whole: the beginning of a number would be another number.
    """
    named = ("model", "data", "seed", "(defaults)")
    varied = [override.rpartition("=") for override in label.split() if override.split("=")[0] not in named]
    words = [f"{re.split('[./]', key)[-1]}-{value}" for key, _, value in varied]
    names = accumulate(re.sub(r"[^\w.+-]+", "-", f"_{word}", flags=re.ASCII) for word in words)
    return max((name for name in names if len(name) <= LONGEST_SUFFIX), key=len, default="")


def _end_with_parent() -> None:
    """Ask Linux to send this process SIGTERM when its launcher dies, for whatever reason."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
