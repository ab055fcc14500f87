"""Means and standard deviations over seeds, and the best of several means.

    mean = Σ x_i / n        std = √(Σ (x_i − mean)² / (n − 1)), for n ≥ 2

Two means a, b are within the spread of each other if |a − b| ≤ √(std_a² + std_b²).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aevq.metrics.catalogue import Goal, number

Mark = Literal["", "best", "within"]


@dataclass(frozen=True)
class Estimate:
    """A metric over the seeds of a group.

    >>> str(Estimate(0.00532, 0.00019, 3))
    '0.00532 ± 0.00019'
    """

    mean: float
    std: float | None  # of the sample; None for a single value
    n: int

    @property
    def mean_text(self) -> str:
        """The mean, rounded to the last printed digit of the standard deviation, or to four digits without one."""
        return number(self.mean) if self._places is None else f"{self.mean:,.{self._places}f}"

    @property
    def std_text(self) -> str:
        """The standard deviation with one digit, or two if the first is a 1; empty if there is no spread."""
        return "" if self._places is None else f"± {self.std:,.{self._places}f}"

    def __str__(self) -> str:
        return f"{self.mean_text} {self.std_text}".rstrip()

    @property
    def _places(self) -> int | None:
        """Decimal places; None if there is no spread to print. A mean gets at most five digits."""
        if self.std is None or not math.isfinite(self.mean + self.std) or self.std <= abs(self.mean) * 1e-9:
            return None
        exponent = math.floor(math.log10(self.std))
        places = -exponent + (1 if self.std / 10**exponent < 2 else 0)
        return max(0, min(places, 4 - (math.floor(math.log10(abs(self.mean))) if self.mean else 0)))


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return mean and sample standard deviation; None if there are no values."""
    if not values:
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Estimate(float(np.mean(values)), std, len(values))


def marks(column: Sequence[Estimate | None], goal: Goal | None) -> list[Mark]:
    """Mark the best values of a column, and those within the spread of the best.

    Nothing is marked if all values are equal, only one is finite, or no direction is better (`goal` is None). A value
    without a standard deviation is never marked as within the spread.
    """

    def loss(value: Estimate) -> float:
        return {"lower": value.mean, "higher": -value.mean, "one": abs(value.mean - 1), None: 0.0}[goal]

    known = [value for value in column if value is not None and math.isfinite(value.mean)]
    if len({loss(value) for value in known}) < 2:
        return [""] * len(column)
    best = min(known, key=loss)

    def mark(value: Estimate | None) -> Mark:
        if value is None:
            return ""
        if loss(value) == loss(best):
            return "best"
        if value.std is None or best.std is None:
            return ""
        return "within" if abs(value.mean - best.mean) <= math.hypot(value.std, best.std) else ""

    return [mark(value) for value in column]
