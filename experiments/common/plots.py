"""Plots of a study: points with their spread over the seeds, some of them joined by a line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from aevq.report.statistics import Estimate

COLOURS = {"AE": "#2a6f97", "VAE": "#c8553d", "VQ-VAE": "#588157", "PCA": "#7a7a7a"}
OTHERS = ("#7b5ea7", "#b5651d", "#3d8f8f", "#a23b72", "#5f6b6d", "#9a8c2c")
MARKERS = "osD^vPX"
ERRORBARS = {"markersize": 5, "linewidth": 1.4, "elinewidth": 1, "capsize": 2}


@dataclass(frozen=True)
class Point:
    """One group."""

    x: Estimate | float
    y: Estimate | float
    text: str = ""  # written beside it


@dataclass(frozen=True)
class Series:
    """Points of one colour."""

    name: str  # in the legend; the first word chooses the colour
    points: Sequence[Point]
    joined: bool = True  # whether a line joins the points


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    x: str  # label of the x axis
    y: str
    series: Sequence[Series]
    log: str = ""  # the logarithmic axes: `x`, `y` or `xy`


def draw(path: Path, *panels: Panel) -> None:
    """Write panels side by side as a PNG."""
    figure = Figure(figsize=(5.2 * len(panels), 3.7), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_panel(axes, panel)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for i, series in enumerate(panel.series):
        colour = COLOURS.get(series.name.split(" ")[0].rstrip(","), OTHERS[i % len(OTHERS)])
        _draw_series(axes, series, colour, MARKERS[i % len(MARKERS)], below=i % 2 == 1)
    axes.set(xlabel=panel.x, ylabel=panel.y)
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if name in panel.log:  # ticks are plain numbers, and there are several of them on a short axis too
            axes.set(**{f"{name}scale": "log"})
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 7)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
    if "y" not in panel.log:
        axes.set_ylim(bottom=0)
    if any(point.text for series in panel.series for point in series.points):
        axes.margins(x=0.16)  # the texts stand to the right of their points
    axes.grid(alpha=0.25, which="both", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel.series) > 1:
        axes.legend(frameon=False, fontsize=8)


def _draw_series(axes: Axes, series: Series, colour: str, marker: str, below: bool) -> None:
    """Draw points with their texts on the side of the line where it is not, or if there is none, below or above."""
    if not series.points:
        return
    x, x_err = zip(*(_mean_and_std(point.x) for point in series.points), strict=True)
    y, y_err = zip(*(_mean_and_std(point.y) for point in series.points), strict=True)
    line = f"{marker}-" if series.joined else marker
    axes.errorbar(x, y, y_err, x_err, line, color=colour, label=series.name, **ERRORBARS)
    places = sorted(zip(x, y, strict=True))
    for point, place in zip(series.points, zip(x, y, strict=True), strict=True):
        right = next((other for other in places if other[0] > place[0]), place)
        is_below = right[1] > place[1] if series.joined else below
        offset = (6, -9 if is_below else 4)
        axes.annotate(point.text, place, xytext=offset, textcoords="offset points", fontsize=8, color=colour)


def _mean_and_std(value: Estimate | float) -> tuple[float, float]:
    return (value.mean, value.std or 0.0) if isinstance(value, Estimate) else (value, 0.0)
