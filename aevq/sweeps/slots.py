"""How many jobs run at once, and which threads and GPUs of this machine each of them gets."""

import os
from collections.abc import Mapping
from typing import Any

from aevq.errors import UserError

Slot = dict[str, str]
"""A place for one job at a time: the environment variables that give it threads and GPUs."""

GIB_PER_JOB = 3  # main memory that a job is assumed to need
THREADS = "OMP_NUM_THREADS"
GPUS = "CUDA_VISIBLE_DEVICES"


def plan_slots(trainer: Mapping[str, Any], n_jobs: int | str, threads: int | str, waiting: int) -> list[Slot]:
    """Divide this machine among the jobs of a sweep.

    On a CPU, `auto` gives each core a job with one thread, if there are enough jobs: a small network gains little from
    a second thread. On GPUs, it gives each job as many as it uses. An OMP_NUM_THREADS of the user is kept.

    There are `waiting` jobs; `trainer` is their group of that name, with its accelerator and number of devices.

    Raises:
        UserError: If `n_jobs` or `threads` is neither `auto` nor a positive integer.
    """
    check_options(n_jobs, threads)
    gpus, devices = _visible_gpus(str(trainer.get("accelerator", "auto"))), trainer.get("devices", 1)
    devices = len(gpus) if devices == -1 else devices  # -1: all GPUs
    devices = max(1, devices) if isinstance(devices, int) else 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fitting = len(gpus) // devices if gpus else min(cores // devices, _memory_gib() // GIB_PER_JOB)
    count = max(1, min(fitting, waiting)) if n_jobs == "auto" else int(n_jobs)
    if threads == "auto":
        limit = {} if THREADS in os.environ else {THREADS: str(max(1, cores // (count * devices)))}
    else:
        limit = {THREADS: str(threads)}
    if not gpus:
        return [limit] * count
    shares = [[gpus[(slot * devices + i) % len(gpus)] for i in range(devices)] for slot in range(count)]
    return [limit | {GPUS: ",".join(share)} for share in shares]


def check_options(n_jobs: object, threads: object) -> None:
    """Raise a `UserError` if an option of the launcher is neither `auto` nor a positive integer."""
    for name, value in (("n_jobs", n_jobs), ("threads", threads)):
        if value != "auto" and not (type(value) is int and value > 0):
            raise UserError(f"hydra.launcher.{name}: should be auto or a positive integer, got {value!r}")


def _visible_gpus(accelerator: str) -> list[str]:
    """Return the ids of the GPUs that jobs with this `trainer.accelerator` may use."""
    if accelerator not in ("auto", "gpu", "cuda"):
        return []
    import torch  # takes seconds, and jobs on a CPU do without

    if not torch.cuda.is_available():
        return []
    named = os.environ.get(GPUS)
    return [gpu.strip() for gpu in named.split(",")] if named else list(map(str, range(torch.cuda.device_count())))


def _memory_gib() -> int:
    try:
        return max(GIB_PER_JOB, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30)
    except (ValueError, OSError, AttributeError):
        return 10**6
