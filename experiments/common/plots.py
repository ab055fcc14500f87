"""Charts of a study: points with their spread over the seeds, some of them joined by a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from aevq.report.statistics import Estimate

__all__ = ["COLOURS", "Panel", "Point", "Series", "draw"]

COLOURS = {"AE": "#2a6f97", "VAE": "#c8553d", "VQ-VAE": "#588157", "PCA": "#7a7a7a"}
OTHERS = ("#7b5ea7", "#b5651d", "#3d8f8f", "#a23b72", "#5f6b6d", "#9a8c2c")
MARKERS = "osD^vPX"


@dataclass(frozen=True)
class Point:
    """A group.

    Attributes:
        x: Its place across; a number where it has no spread.
        y: Its height.
        text: Written beside it.
    """

    x: Estimate | float
    y: Estimate
    text: str = ""


@dataclass(frozen=True)
class Series:
    """Points of one colour.

    Attributes:
        name: In the legend; its first word chooses the colour.
        points: In order.
        joined: Whether a line goes through them.
    """

    name: str
    points: Sequence[Point]
    joined: bool = True


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        x: Title of the axis across.
        y: Title of the axis up.
        series: What is shown.
        log_x: Whether the axis across is logarithmic.
        log_y: Whether the axis up is.
        lines: Heights that are marked by a dashed line, by name.
    """

    x: str
    y: str
    series: Sequence[Series]
    log_x: bool = False
    log_y: bool = False
    lines: Mapping[str, float] | None = None


def draw(path: Path, *panels: Panel) -> None:
    """Write panels side by side as a PNG."""
    figure = Figure(figsize=(5.2 * len(panels), 3.7), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, panel)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _panel(axes: Axes, panel: Panel) -> None:
    for i, series in enumerate(panel.series):
        _series(
            axes,
            series,
            COLOURS.get(series.name.split(" ")[0].rstrip(",")) or OTHERS[i % len(OTHERS)],
            MARKERS[i % len(MARKERS)],
        )
    for name, height in (panel.lines or {}).items():
        axes.axhline(height, color="#7a7a7a", linestyle="--", linewidth=1)
        axes.annotate(name, (0.99, height), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    for axis, log in ((axes.xaxis, panel.log_x), (axes.yaxis, panel.log_y)):
        if log:
            _logarithmic(axis)
    if not panel.log_y:
        axes.set_ylim(bottom=0)
    if any(point.text for series in panel.series for point in series.points):
        axes.margins(x=0.16)  # texts stand to the right of their points
    axes.grid(alpha=0.25, which="both", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel.series) > 1:
        axes.legend(frameon=False, fontsize=8)


def _logarithmic(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, written as plain numbers."""
    (axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _series(axes: Axes, series: Series, colour: str, marker: str) -> None:
    if not series.points:
        return
    x, x_err = zip(*(_value(point.x) for point in series.points), strict=True)
    y, y_err = zip(*(_value(point.y) for point in series.points), strict=True)
    line = "-" if series.joined else "none"
    axes.errorbar(
        x,
        y,
        yerr=y_err,
        xerr=x_err,
        color=colour,
        marker=marker,
        markersize=5,
        linestyle=line,
        linewidth=1.4,
        elinewidth=1,
        capsize=2,
        label=series.name,
    )
    for point, across, up in zip(series.points, x, y, strict=True):
        to_the_right = min(((a, b) for a, b in zip(x, y, strict=True) if a > across), default=(across, up))
        rises = series.joined and to_the_right[1] > up
        axes.annotate(
            point.text,
            (across, up),
            xytext=(6, -9 if rises else 4),  # on the side of the point that the line does not take
            textcoords="offset points",
            fontsize=8,
            color=colour,
        )


def _value(value: Estimate | float) -> tuple[float, float]:
    return (value.mean, value.std or 0.0) if isinstance(value, Estimate) else (value, 0.0)
