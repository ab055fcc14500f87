"""How two ways of doing the same are compared: in turn, in one run, by the ratios of pairs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

__all__ = ["Laps", "Row", "alternate", "compare", "matmul_peak", "now", "silence"]

LAP = 10  # steps

Measure = Callable[[], float]
"""Does something; the seconds that one unit of it took."""


@dataclass(frozen=True)
class Row:
    """One line of the table: how many times as fast as the other we are.

    Attributes:
        part: Of the benchmark.
        what: Is done.
        other: What ours is compared with.
        ratio: Median over the pairs of (seconds of the other) / (seconds of ours).
        low: The smallest.
        high: The largest.
        ours: Median seconds a unit.
        theirs: Median seconds a unit.
        unit: Of both.
        target: The ratio that we want to reach, if any.
    """

    part: str
    what: str
    other: str
    ratio: float
    low: float
    high: float
    ours: float
    theirs: float
    unit: str
    target: float | None = None


def alternate(measures: Mapping[str, Measure], repeats: int) -> Iterator[dict[str, float]]:
    """Seconds a unit by name, once for each repeat; every other repeat goes through them backwards."""
    names = list(measures)
    for repeat in range(repeats):
        seconds = {name: measures[name]() for name in (names if repeat % 2 == 0 else reversed(names))}
        yield {name: seconds[name] for name in names}


def compare(part: str, what: str, rounds: list[dict[str, float]], unit: str, targets: Mapping[str, float]) -> list[Row]:
    """Rows of the first contender, ours, against each of the others.

    Args:
        part: Of the benchmark.
        what: Is done.
        rounds: What `alternate` gave.
        unit: Of the seconds.
        targets: By name of the other.
    """
    ours, *others = rounds[0]
    return [_row(part, what, rounds, ours, other, unit, targets.get(other)) for other in others]


def _row(
    part: str, what: str, rounds: list[dict[str, float]], ours: str, other: str, unit: str, target: float | None
) -> Row:
    ratios = [each[other] / each[ours] for each in rounds]
    seconds = {name: statistics.median(each[name] for each in rounds) for name in (ours, other)}
    middle = statistics.median(ratios)
    return Row(part, what, other, middle, min(ratios), max(ratios), seconds[ours], seconds[other], unit, target)


def now(device: torch.device) -> float:
    """Seconds of a clock, when all that was given to the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Laps:
    """The median over laps of ten steps: a shared machine stands still now and then, and a mean would be of that.

    Args:
        device: That works.
        warmup: Steps that do not count.
    """

    def __init__(self, device: torch.device, warmup: int) -> None:
        self.device, self.warmup = device, warmup
        self._stamps: list[tuple[int, float]] = []

    def done(self, step: int) -> None:
        """So many steps are done."""
        if step >= self.warmup and step % LAP == 0:
            self._stamps.append((step, now(self.device)))

    @property
    def seconds(self) -> float:
        """Of one step."""
        return statistics.median((t - s) / (after - before) for (before, s), (after, t) in pairwise(self._stamps))


@contextmanager
def silence() -> Iterator[None]:
    """Let progress bars be drawn where nobody looks."""
    with Path("/dev/null").open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def matmul_peak(device: torch.device, side: int = 2048, repeats: int = 10) -> float:
    """Floating point operations a second of a float32 product of two side×side matrices; the best of so many."""
    a, b = torch.randn(side, side, device=device), torch.randn(side, side, device=device)
    return 2 * side**3 / min(_seconds(lambda: a @ b, device) for _ in range(repeats))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    start = now(device)
    work()
    return now(device) - start
