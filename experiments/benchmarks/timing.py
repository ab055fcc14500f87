"""How two ways of doing the same work are compared: alternating in one run, by the ratios of pairs."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

CPU = torch.device("cpu")
WARMUP, LAP = 20, 10  # steps


@dataclass(frozen=True)
class Row:
    """One line of the table: how many times as fast as an alternative aevq is."""

    part: str  # of the benchmark
    what: str  # what is done
    other: str  # what aevq is compared with
    ratio: float  # median over the pairs of (seconds of the other) / (seconds of aevq)
    low: float  # the smallest of these ratios
    high: float  # the largest
    ours: float  # median seconds per unit of aevq
    theirs: float  # median seconds per unit of the other
    unit: str  # of both
    target: float | None = None  # the ratio that should be reached, if any

    def compared_with(self, earlier: "Row") -> str:
        """Compare with an earlier measurement: equal within noise if the median of one is in the range of the other."""
        agree = self.low <= earlier.ratio <= self.high or earlier.low <= self.ratio <= earlier.high
        verdict = "within noise" if agree else "faster" if self.ratio > earlier.ratio else "SLOWER"
        return f"; before {earlier.ratio:.3g} ({earlier.low:.3g} … {earlier.high:.3g}): {verdict}"


def alternate(measures: Mapping[str, Callable[[], float]], repeats: int, warmup: int = 0) -> Iterator[dict[str, float]]:
    """Yield what each function returns, seconds per unit, once for each repeat; every other repeat runs in reverse.

    `warmup` further repeats at the beginning do not count.
    """
    for repeat in range(-warmup, repeats):
        order = list(measures) if repeat % 2 == 0 else reversed(list(measures))
        seconds = {name: measures[name]() for name in order}
        if repeat >= 0:
            yield {name: seconds[name] for name in measures}


def compare(
    part: str, what: str, rounds: Iterable[dict[str, float]], unit: str, targets: Mapping[str, float] | None = None
) -> list[Row]:
    """Return a row for the first contender of `alternate`'s rounds, which is aevq, against each of the others."""
    rounds = list(rounds)
    ours, *others = rounds[0]
    seconds = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    rows = []
    for other in others:
        ratios = [each[other] / each[ours] for each in rounds]
        spread = statistics.median(ratios), min(ratios), max(ratios)
        rows.append(Row(part, what, other, *spread, seconds[ours], seconds[other], unit, (targets or {}).get(other)))
    return rows


def _now(device: torch.device) -> float:
    """Return the time once the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds_of(work: Callable[[], object], units: int = 1, device: torch.device = CPU) -> float:
    """Return the seconds that each of the units of some work took."""
    start = _now(device)
    work()
    return (_now(device) - start) / units


class Laps:
    """The seconds of a training step, as the median over laps of ten steps.

    On a shared machine a process is suspended now and then; a mean would include these pauses. `steps` are timed after
    a warm-up; if they are fewer than a lap, which only tests that everything runs, laps have one step.
    """

    def __init__(self, device: torch.device, steps: int) -> None:
        self.device = device
        self._warmup, self._lap = (WARMUP, LAP) if steps >= LAP else (1, 1)
        self.total = self._warmup + steps
        self._stamps: list[tuple[int, float]] = []

    def done(self, step: int) -> None:
        """Note that `step` steps are done."""
        if step >= self._warmup and step % self._lap == 0:
            self._stamps.append((step, _now(self.device)))

    @property
    def seconds(self) -> float:
        """Seconds of one step."""
        return statistics.median((t - s) / (after - before) for (before, s), (after, t) in pairwise(self._stamps))


@contextmanager
def silence() -> Iterator[None]:
    """Send progress bars to /dev/null: they are drawn, but not shown."""
    with Path("/dev/null").open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def matmul_peak(device: torch.device, side: int = 2048, repeats: int = 10) -> float:
    """Return floating point operations per second of a float32 product of two side×side matrices, the best of all."""
    a, b = torch.randn(side, side, device=device), torch.randn(side, side, device=device)
    return 2 * side**3 / min(seconds_of(lambda: a @ b, device=device) for _ in range(repeats))
