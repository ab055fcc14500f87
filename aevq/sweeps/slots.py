"""How many jobs run at once, and what of the machine each one gets: threads, and GPUs handed round."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from aevq.config.schema import Count, Says, check_value

__all__ = ["Slot", "Slots", "check_places"]

Auto = Annotated[Literal["auto"] | Count, Says("auto, or an integer ≥ 1")]

GIB_A_JOB = 3  # main memory that a job is taken to need
THREADS = "OMP_NUM_THREADS"
GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Slot:
    """A place for one job: its environment."""

    environment: dict[str, str]


@dataclass(frozen=True)
class Slots:
    """Places for jobs.

    Attributes:
        count: Jobs at once.
        threads: Threads a job; 0 leaves them as they are.
        gpus: Ids of the GPUs of each place; none on a CPU.
    """

    count: int
    threads: int
    gpus: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def plan(cls, n_jobs: int | str, threads: int | str, devices: int, gpus: list[str], waiting: int) -> Slots:
        """Share out this machine.

        On a CPU one thread a job is best where there are enough jobs: a small network gains little from a second. With
        GPUs each place has `devices` of them. A user's own OMP_NUM_THREADS is left alone.

        Args:
            n_jobs: Jobs at once, or `auto`.
            threads: Threads a job, or `auto`.
            devices: Processes or GPUs that one job uses.
            gpus: Ids of the GPUs to hand round; none where jobs use the CPU.
            waiting: Jobs to run.
        """
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        fitting = len(gpus) // devices if gpus else min(cores // devices, _memory_gib() // GIB_A_JOB)
        check_places(n_jobs, threads)
        count = max(1, min(fitting, waiting)) if n_jobs == "auto" else int(n_jobs)
        own = THREADS in os.environ
        each = (0 if own else max(1, cores // (count * devices))) if threads == "auto" else int(threads)
        places = tuple(tuple(gpus[(i * devices + j) % len(gpus)] for j in range(devices)) for i in range(count) if gpus)
        return cls(count, each, places)

    def __getitem__(self, index: int) -> Slot:
        """The place with this number."""
        environment = {THREADS: str(self.threads)} if self.threads else {}
        if self.gpus:
            environment[GPUS] = ",".join(self.gpus[index])
        return Slot(environment)


def visible_gpus(accelerator: str) -> list[str]:
    """Ids of the GPUs that jobs of this `trainer.accelerator` may use."""
    if accelerator not in ("auto", "gpu", "cuda"):
        return []
    import torch

    named = os.environ.get(GPUS)
    ids = [gpu.strip() for gpu in named.split(",")] if named else [str(i) for i in range(torch.cuda.device_count())]
    return ids if torch.cuda.is_available() else []


def check_places(n_jobs: object, threads: object) -> None:
    """Check what the launcher is asked for.

    Raises:
        UserError: If one of them is neither `auto` nor a whole number ≥ 1.
    """
    for name, value in (("n_jobs", n_jobs), ("threads", threads)):
        check_value(f"hydra.launcher.{name}", value, Auto)


def _memory_gib() -> int:
    try:
        return max(GIB_A_JOB, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30)
    except (ValueError, OSError, AttributeError):
        return 10**6
