"""What a scheduler tells a process by its environment: SLURM, or torchrun.

Both start the processes of a job themselves, and may start a job again: after a preemption, a time limit, a failure. So
its run folder must be the same in all its processes and at each start, and be named after what stays the same, the job.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from typing import Any

from aevq.errors import UserError

__all__ = ["job_name", "made_elsewhere", "requeue"]

INTERACTIVE = ("bash", "interactive")  # SLURM's names of allocations in which a person types commands


def _slurm() -> bool:
    env = os.environ
    return "SLURM_JOB_ID" in env and "SLURM_NTASKS" in env and env.get("SLURM_JOB_NAME") not in INTERACTIVE


def made_elsewhere() -> bool:
    """Whether the processes of this job are made by SLURM or torchrun, and not by the first of them."""
    return _slurm() or "TORCHELASTIC_RUN_ID" in os.environ


def job_name(config: dict[str, Any]) -> str | None:
    """A name that all processes of a job agree on, at each start of it; None outside a scheduler.

    Args:
        config: The run's configuration: two commands of one job are two runs.

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
    """Ask SLURM to put this job back into the queue.

    Returns:
        What is amiss; None where it did, or this is no batch job of SLURM.
    """
    if not _slurm():
        return None
    command = ["scontrol", "requeue", os.environ["SLURM_JOB_ID"]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return done.stderr.strip() if done.returncode else None
