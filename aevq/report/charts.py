"""The charts of a comparison as SVG: distortion against rate, sampling against reconstruction, and training curves.

Matplotlib draws them. Their colours become CSS variables of the page, so that they fit its light and its dark theme.
"""

import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from aevq.metrics.catalogue import entry
from aevq.report.groups import Group
from aevq.report.records import read_curves
from aevq.report.statistics import Estimate
from aevq.runs.metrics_file import METRICS_FILE

COLOURS = ("#0072b2", "#d55e00", "#00865f", "#b3508c", "#9a6b00", "#2f8fc9", "#5b5b66", "#7d5a3c")
MARKERS = {"o": "●", "s": "■", "D": "◆", "^": "▲", "v": "▼"}  # for matplotlib, and as text in a legend
SOFT, LINE = "#62666d", "#e3e3de"
VARIABLES = {SOFT: "--soft", LINE: "--line"} | {colour: f"--c{i}" for i, colour in enumerate(COLOURS)}
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.grid": True,
    "svg.fonttype": "none",
    **dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), SOFT),
    **dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), LINE),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.formatter.useoffset", "text.parse_math"), False),
}
INCHES = (5.4, 3.5)
CURVES = ("train/objective", "val/mse", "val/codebook_perplexity")
LONG_LABEL = 14  # characters; longer labels are only in the legend
LOG_FROM = 30  # ratio of the largest to the smallest value above which an axis is logarithmic
LINE_POINTS = 150
WARM_UP = 0.1  # fraction of a training whose values may leave the chart


@dataclass(frozen=True)
class Chart:
    """A chart and its caption."""

    title: str
    note: str
    description: str
    svg: Markup


@dataclass(frozen=True)
class Point:
    """A mean with its standard deviation in both directions."""

    x: Estimate | None  # None if there is no such metric: the point becomes a horizontal line
    y: Estimate
    group: int  # index of the group, which chooses colour and marker
    label: str  # text beside it; may be empty


def rate_chart(groups: Sequence[Group]) -> Chart | None:
    """Return distortion against rate; a group without a rate is a horizontal line."""
    long = any(len(group.label) > LONG_LABEL for group in groups)
    points = [
        Point(group.metrics.get(group.rate or ""), mse, i, "" if group.rate and long else group.label)
        for i, group in enumerate(groups)
        if (mse := group.metrics.get("reconstruction/mse"))
    ]
    note = "Closer to the lower left is better: fewer bits, smaller error."
    return scatter_chart("Distortion and rate", note, "rate, bits per image", "MSE of reconstructions", points)


def sampling_chart(groups: Sequence[Group]) -> Chart | None:
    """Return the Fréchet distance of the samples of each group and prior against that of its reconstructions."""
    long = any(len(group.label) > LONG_LABEL for group in groups)
    points = [
        Point(own, samples, i, prior if long else f"{group.label} · {prior}")
        for i, group in enumerate(groups)
        for prior in group.priors
        if (own := group.metrics.get("reconstruction/fd")) and (samples := group.metrics.get(f"samples/{prior}/fd"))
    ]
    note = "Samples are rarely closer to the data than the reconstructions of the same decoder."
    return scatter_chart("Sampling and reconstruction", note, "FD of reconstructions", "FD of samples", points)


def training_charts(groups: Sequence[Group]) -> list[Chart]:
    """Return the objective, the validation error and the codes in use by step, one line per run."""
    runs = [(i, read_curves(run.path / METRICS_FILE)) for i, group in enumerate(groups) for run in group.runs]
    charts = (curves_chart(name, [(i, curves.get(name, [])) for i, curves in runs]) for name in CURVES)
    return [chart for chart in charts if chart]


def scatter_chart(title: str, note: str, x_title: str, y_title: str, points: Sequence[Point]) -> Chart | None:
    """Return means with error bars; None if fewer than two are finite, or none has both values."""
    points = [p for p in points if math.isfinite(p.y.mean) and (p.x is None or math.isfinite(p.x.mean))]
    placed = [p for p in points if p.x is not None]
    if not placed or len(points) < 2:
        return None
    with _drawing(title):
        figure = Figure(INCHES, dpi=72, layout="constrained")  # so that a pixel is a point
        axes = figure.subplots()
        for p in points:
            _draw(axes, p)
        axes.margins(0.08)
        _scale(axes.xaxis, [p.x.mean for p in placed if p.x])
        _scale(axes.yaxis, [p.y.mean for p in points])
        axes.set(xlabel=x_title, ylabel=y_title)
        figure.draw_without_rendering()  # only now is it known where the marks are
        bars = [[(p.x.mean + sign * (p.x.std or 0.0), p.y.mean) for sign in (-1, 1)] for p in points if p.x]
        taken = [Bbox(axes.transData.transform(bar)).padded(5) for bar in bars]
        for point in sorted((p for p in points if p.label), key=lambda p: p.x is not None):
            _label(axes, point, taken)
        return Chart(title, note, f"{title}: {y_title} over {x_title}", _svg(figure))


def curves_chart(name: str, curves: Sequence[tuple[int, Sequence[tuple[int, float]]]]) -> Chart | None:
    """Return a metric by step, one line per run; None if no run has two values.

    The axis fits the values after the first tenth of each training; earlier values may lie outside. `curves` are, of
    each run, the index of its group and `(step, value)` in the order of the steps.
    """
    finite = [(group, np.array([p for p in values if math.isfinite(p[1])])) for group, values in curves]
    finite = [(group, values) for group, values in finite if len(values) > 1]
    if not finite:
        return None
    metric = entry(name)
    with _drawing(name):
        figure = Figure(INCHES, layout="constrained")
        axes = figure.subplots()
        settled = []
        for group, values in finite:
            pieces = np.array_split(values, min(LINE_POINTS, len(values)))
            steps, means = np.array([piece.mean(0) for piece in pieces]).T
            axes.plot(steps, means, color=_colour(group), linewidth=1.2)
            settled += values[values[:, 0] >= WARM_UP * values[-1, 0], 1].tolist()
        low, high = min(settled), max(settled)
        _scale(axes.yaxis, settled)
        room = max(0.06 * (high - low), 1e-9 * abs(high), 1e-12)
        axes.set_ylim((low / 1.1, high * 1.1) if axes.get_yscale() == "log" else (low - room, high + room))
        axes.set_xlim(left=0)
        axes.set(xlabel="step", ylabel=metric.unit or metric.title)
        title = metric.title[:1].upper() + metric.title[1:]
        return Chart(title, metric.unit, f"{metric.title} over steps", _svg(figure))


@contextmanager
def _drawing(name: str) -> Iterator[None]:
    """Set matplotlib's style; `name` makes the ids of a chart different from those of others in a page."""
    with rc_context(STYLE | {"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # missing from matplotlib's font, but not from the browser's
        yield


def _draw(axes: Axes, point: Point) -> None:
    """Draw a mark and a cross of error bars as one line, or a horizontal line."""
    y, dy, colour = point.y.mean, point.y.std or 0.0, _colour(point.group)
    if point.x is None:
        axes.axhline(y, color=colour, linewidth=1.2, linestyle=(0, (5, 3)))
        return
    x, dx, marker = point.x.mean, point.x.std or 0.0, list(MARKERS)[point.group % len(MARKERS)]
    cross = [x - dx, x + dx, x, x, x], [y, y, y, y - dy, y + dy]
    axes.plot(*cross, color=colour, linewidth=1.2, marker=marker, markevery=[2], zorder=3)


def _colour(group: int) -> str:
    return COLOURS[group % len(COLOURS)]


def _scale(axis: XAxis | YAxis, values: Sequence[float]) -> None:
    """Make an axis logarithmic if its positive values differ by more than `LOG_FROM`, with plain numbers as ticks."""
    low, high = min(values), max(values)
    if low > 0 and high / low > LOG_FROM:
        (axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale)("log")
        axis.set_major_locator(LogLocator(subs=(1, 3) if high / low < 1e4 else (1,)))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _label(axes: Axes, point: Point, taken: list[Bbox]) -> None:
    """Write a label beside its point or at the right end of its line, at the nearest free place if there is one."""
    text = axes.annotate(
        point.label if point.x else f"{point.label} (no rate)",
        (point.x.mean if point.x else 1.0, point.y.mean),
        (0, 0),
        xycoords="data" if point.x else axes.get_yaxis_transform(),
        textcoords="offset points",
        color=_colour(point.group),
        fontsize=8,
        weight="bold",
        va="center",
        in_layout=False,
    )
    frame = axes.get_window_extent()
    sides = ((8, "left"), (-8, "right")) if point.x else ((-2, "right"),)
    for step, (across, side) in product(range(12), sides):
        text.set(ha=side, position=(across, (0 if point.x else 6) + (-1) ** step * (step + 1) // 2 * 11))
        box = text.get_window_extent()
        if frame.x0 <= box.x0 and box.x1 <= frame.x1 and not any(map(box.overlaps, taken)):
            taken.append(box)
            return
    text.set_visible(False)


def _svg(figure: Figure) -> Markup:
    """Return a plot as an SVG element that can stand several times in a page."""
    file = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # so that equal charts are equal texts
    figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
    svg = file.getvalue()
    svg = re.sub(r' id="[^"]*_\d+"', "", svg[svg.index("<svg") :])  # ids that each chart has, and none refers to
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return Markup(svg)  # matplotlib has escaped the texts
