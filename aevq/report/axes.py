"""Axes of a chart: from values to places, with round numbers as ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Axis", "Tick", "axis"]

LOG_FROM = 30  # ratio of largest to smallest value, above which an axis is logarithmic


@dataclass(frozen=True)
class Tick:
    """A round number on an axis: where, in pixels, and as what it is printed."""

    place: float
    text: str


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis.

    Attributes:
        low: Value at `start`.
        high: Value at `end`.
        start: Pixel of the low end.
        end: Pixel of the high end; below `start` for an axis that goes up.
        log: Whether places follow the logarithm.
        title: What it shows.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool
    title: str

    def place(self, value: float) -> float:
        """Pixel of a value; outside of the chart where the value is outside of the axis."""
        if self.log:
            share = math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[Tick]:
        """Four to seven round numbers."""
        values = _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high)
        return [Tick(self.place(value), f"{value:,.10g}") for value in values]


def axis(values: Sequence[float], start: float, end: float, title: str, log: bool | None = None) -> Axis:
    """An axis on which all values have their place, with some room at both ends.

    Args:
        values: Finite; one at least.
        start: Pixel of the low end.
        end: Pixel of the high end.
        title: What it shows.
        log: Whether it is logarithmic; by default where positive values differ by more than a factor of thirty.
    """
    low, high = min(values), max(values)
    if log is None:
        log = low > 0 and high / low > LOG_FROM
    if log:
        room = max((high / low) ** 0.08, 1.1)
        return Axis(low / room, high * room, start, end, True, title)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return Axis(0.0 if low >= 0 > low - room else low - room, high + room, start, end, False, title)


def _linear_ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / 5
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        shown = [value for value in found if low <= value <= high]
        if len(shown) <= 8:
            return shown
    return shown[:: math.ceil(len(shown) / 8)]
