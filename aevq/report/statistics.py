"""Means and spreads over seeds, and which of several differ by more than these.

    mean = Σ x_i / n        std = √(Σ (x_i − mean)² / (n − 1)), for n ≥ 2

Two means a, b are within the spread of each other where |a − b| ≤ √(std_a² + std_b²).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BEST", "WITHIN", "Estimate", "estimate", "marks"]

Goal = Literal["lower", "higher", "one"]
Mark = Literal["", "best", "within"]
BEST: Mark = "best"
WITHIN: Mark = "within"


@dataclass(frozen=True)
class Estimate:
    """A figure over the seeds of a group.

    Attributes:
        mean: Mean of the values.
        std: Sample standard deviation; None of a single value.
        n: How many values.
    """

    mean: float
    std: float | None
    n: int

    @property
    def mean_text(self) -> str:
        """The mean, to the place to which the standard deviation is printed; to four digits where there is none."""
        return _four_digits(self.mean) if self._places is None else f"{self.mean:,.{self._places}f}"

    @property
    def std_text(self) -> str:
        """The standard deviation with one digit, two if it begins with a 1; empty where there is none, or no spread."""
        return "" if self._places is None else f"± {self.std:,.{self._places}f}"

    def __str__(self) -> str:
        return f"{self.mean_text} {self.std_text}".rstrip()

    @property
    def _places(self) -> int | None:
        """Decimal places; None where there is no spread to print. A mean has five digits at most."""
        if self.std is None or not math.isfinite(self.mean + self.std) or self.std <= abs(self.mean) * 1e-9:
            return None
        return max(0, min(_places(self.std), 4 - _exponent(self.mean)))


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and sample standard deviation of the values of a group; None where no run has the figure."""
    if not values:
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Estimate(float(np.mean(values)), std, len(values))


def marks(column: Sequence[Estimate | None], goal: Goal | None) -> list[Mark]:
    """Which values of a column are the best, and which cannot be told from it.

    Args:
        column: Values of the groups; None where a group lacks the figure.
        goal: Whether lower or higher is better, or the nearer to one; None where neither is.

    Returns:
        A mark for each value. There are none where all values are equal, or there is one alone; and without a spread of
        both, only the best itself is marked.
    """
    known = [value for value in column if value is not None and math.isfinite(value.mean)]
    if goal is None or len({_loss(value, goal) for value in known}) < 2:
        return [""] * len(column)
    best = min(known, key=lambda value: _loss(value, goal))
    return [_mark(value, best, goal) for value in column]


def _mark(value: Estimate | None, best: Estimate, goal: Goal) -> Mark:
    if value is None:
        return ""
    if _loss(value, goal) == _loss(best, goal):
        return BEST
    return WITHIN if _within(value, best) else ""


def _loss(value: Estimate, goal: Goal) -> float:
    return {"lower": value.mean, "higher": -value.mean, "one": abs(value.mean - 1)}[goal]


def _within(a: Estimate, b: Estimate) -> bool:
    if a.std is None or b.std is None:
        return False
    return abs(a.mean - b.mean) <= math.hypot(a.std, b.std)


def _four_digits(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _places(std: float) -> int:
    exponent = _exponent(std)
    return -exponent + (1 if std / 10**exponent < 2 else 0)
