"""Schedulers, as a process sees them in its environment: SLURM and torchrun.

Both start the processes of a job themselves, and may start a job again: after a preemption, a time limit or a failure.
So the run folder has to be the same in all processes and at each start; it is named after the job.
"""

import hashlib
import json
import os
import subprocess
from typing import Any

from aevq.errors import UserError

INTERACTIVE = ("bash", "interactive")  # SLURM's names of allocations in which a person types commands


def _slurm() -> bool:
    env = os.environ
    return "SLURM_JOB_ID" in env and "SLURM_NTASKS" in env and env.get("SLURM_JOB_NAME") not in INTERACTIVE


def externally_launched() -> bool:
    """Return whether SLURM or torchrun starts the processes of this job, instead of rank 0."""
    return _slurm() or "TORCHELASTIC_RUN_ID" in os.environ


def job_name(config: dict[str, Any]) -> str | None:
    """Return a name on which all processes of a job agree, at each start; None outside a scheduler.

    It depends on the run's configuration: two commands of one job are two runs.

    Raises:
        UserError: If torchrun was given no name for the job.
    """
    env = os.environ
    if _slurm():
        array = (env[key] for key in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID") if key in env)
        name = "slurm-" + ("-".join(array) or env["SLURM_JOB_ID"])
    elif "TORCHELASTIC_RUN_ID" in env:
        name = env["TORCHELASTIC_RUN_ID"]
        if name == "none":
            raise UserError("torchrun: expected --rdzv-id=<a name of the job> (or --standalone), got none")
    else:
        return None
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()
    return f"{name}-{digest[:6]}"


def requeue() -> str | None:
    """Ask SLURM, if this is a batch job of it, to put the job back into the queue; return what went wrong, if any."""
    if not _slurm():
        return None
    command = ["scontrol", "requeue", os.environ["SLURM_JOB_ID"]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return done.stderr.strip() if done.returncode else None
