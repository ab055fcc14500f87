"""Charts as geometry: points, lines and axes in pixels; the page's template draws them as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aevq.report.axes import Axis, axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aevq.report.statistics import Estimate

__all__ = ["HEIGHT", "WIDTH", "Chart", "Curve", "Dot", "Line", "Point", "Rule", "curves_chart", "scatter_chart"]

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 14, 12, 44
LABEL_HEIGHT = 15
CHARACTER = 6.6  # pixels that a letter of a label takes, about
LINE_POINTS = 150
WARM_UP = 0.1  # share of a training whose values may leave the frame


@dataclass(frozen=True)
class Dot:
    """What a scatter chart is asked to show: a group's mean and spread in both directions.

    Attributes:
        x: None where the group has no such figure: it becomes a line across.
        y: Always there.
        group: Index of the group.
        name: What it is.
        label: Text beside it; may be empty.
    """

    x: Estimate | None
    y: Estimate
    group: int
    name: str
    label: str


@dataclass(frozen=True)
class Curve:
    """What a chart of curves is asked to show: one run's values by step."""

    values: Sequence[tuple[int, float]]
    group: int


@dataclass(frozen=True)
class Point:
    """A dot in its place, with the ends of its spread and the place of its label."""

    x: float
    y: float
    x_ends: tuple[float, float] | None
    y_ends: tuple[float, float] | None
    group: int
    label: str
    label_x: float
    label_y: float
    anchor: str
    tip: str


@dataclass(frozen=True)
class Line:
    """A curve as the coordinates of an SVG polyline."""

    points: str
    group: int


@dataclass(frozen=True)
class Rule:
    """A line across the chart, for what has a value on one axis only."""

    y: float
    group: int
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart and what it takes to draw it."""

    title: str
    note: str
    x: Axis
    y: Axis
    points: Sequence[Point] = ()
    lines: Sequence[Line] = ()
    rules: Sequence[Rule] = field(default=())


def scatter_chart(title: str, note: str, x_title: str, y_title: str, dots: Sequence[Dot]) -> Chart | None:
    """Means with their spreads; None where fewer than two have a place."""
    dots = [dot for dot in dots if math.isfinite(dot.y.mean) and (dot.x is None or math.isfinite(dot.x.mean))]
    placed = [dot for dot in dots if dot.x is not None]
    if not placed or len(dots) < 2:
        return None
    xs = axis(_reach([dot.x for dot in placed if dot.x]), LEFT, WIDTH - RIGHT, x_title)
    ys = axis(_reach([dot.y for dot in dots]), HEIGHT - BOTTOM, TOP, y_title)
    points = _without_overlap([_point(dot.x, dot, xs, ys) for dot in placed if dot.x])
    rules = [Rule(ys.place(dot.y.mean), dot.group, dot.name) for dot in dots if dot.x is None]
    return Chart(title, note, xs, ys, points=points, rules=rules)


def _reach(values: Sequence[Estimate]) -> list[float]:
    """Means and the ends of their spreads; of positive figures no end that is not positive."""
    ends = [value.mean + sign * (value.std or 0) for value in values for sign in (-1, 0, 1)]
    positive = all(value.mean > 0 for value in values)
    return [end for end in ends if math.isfinite(end) and (end > 0 or not positive)]


def _point(x: Estimate, dot: Dot, xs: Axis, ys: Axis) -> Point:
    place = xs.place(x.mean), ys.place(dot.y.mean)
    fits = place[0] + 9 + CHARACTER * len(dot.label) < WIDTH - RIGHT
    tip = f"{dot.name}\n{xs.title}: {x}\n{ys.title}: {dot.y}"
    return Point(
        *place,
        _ends(x, xs),
        _ends(dot.y, ys),
        dot.group,
        dot.label,
        place[0] + (9 if fits else -9),
        place[1] + 4,
        "start" if fits else "end",
        tip,
    )


def _ends(value: Estimate, along: Axis) -> tuple[float, float] | None:
    if not value.std or not math.isfinite(value.std):
        return None
    inside = (min(max(end, along.low), along.high) for end in (value.mean - value.std, value.mean + value.std))
    first, second = (along.place(end) for end in inside)
    return first, second


def _without_overlap(points: Sequence[Point]) -> list[Point]:
    """Move labels down, one after the other from the top, until none lies on another."""
    done: list[Point] = []
    for point in sorted(points, key=lambda point: point.label_y):
        y = point.label_y
        while any(abs(y - other.label_y) < LABEL_HEIGHT and _meet(point, other) for other in done):
            y += 1
        done.append(Point(**(vars(point) | {"label_y": y})))
    lowest = max((point.label_y for point in done), default=0) - (HEIGHT - BOTTOM - 4)
    return [Point(**(vars(p) | {"label_y": round(p.label_y - max(lowest, 0), 1)})) for p in done]


def _meet(a: Point, b: Point) -> bool:
    """Whether two labels share some of their width."""
    return max(_from(a), _from(b)) < min(_to(a), _to(b))


def _from(point: Point) -> float:
    return point.label_x - (CHARACTER * len(point.label) if point.anchor == "end" else 0)


def _to(point: Point) -> float:
    return _from(point) + CHARACTER * len(point.label)


def curves_chart(title: str, note: str, y_title: str, curves: Sequence[Curve]) -> Chart | None:
    """Values by step, one thin line a run; None where no run has two of them.

    The frame is made for what comes after the first tenth of each training, which may leave it.
    """
    curves = [Curve([(step, v) for step, v in curve.values if math.isfinite(v)], curve.group) for curve in curves]
    curves = [curve for curve in curves if len(curve.values) >= 2]
    if not curves:
        return None
    settled = [v for curve in curves for step, v in curve.values if step >= WARM_UP * curve.values[-1][0]]
    steps = [step for curve in curves for step, _ in curve.values]
    xs = Axis(min(0, *steps), max(*steps, 1), LEFT, WIDTH - RIGHT, False, "step")
    ys = axis(settled, HEIGHT - BOTTOM, TOP, y_title)
    lines = [Line(_polyline(curve.values, xs, ys), curve.group) for curve in curves]
    return Chart(title, note, xs, ys, lines=lines)


def _polyline(values: Sequence[tuple[int, float]], xs: Axis, ys: Axis) -> str:
    """At most 150 corners: the means of as many equal pieces."""
    size = -(-len(values) // LINE_POINTS)
    pieces = [values[i : i + size] for i in range(0, len(values), size)]
    means = [[sum(column) / len(piece) for column in zip(*piece, strict=True)] for piece in pieces]
    return " ".join(f"{xs.place(step)},{ys.place(value)}" for step, value in means)
