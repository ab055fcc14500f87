"""The charts of a comparison: distortion against rate, sampling against reconstruction, and the trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aevq.report.charts import Chart, Curve, Dot, curves_chart, scatter_chart
from aevq.report.records import read_curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aevq.report.grouping import Group

__all__ = ["rate_chart", "sampling_chart", "training_charts"]

CURVES = {
    "train/objective": ("Training objective", "nats per image"),
    "val/mse": ("Validation error", "MSE"),
    "val/codebook_perplexity": ("Codes in use while training", "perplexity"),
}
LONG = 14  # letters; where labels are longer, colour and shape alone say which group a mark is of


def rate_chart(groups: Sequence[Group]) -> Chart | None:
    """Distortion against rate; what has no rate lies as a line across."""
    long = _long(groups)
    dots = [
        Dot(
            group.figures[group.rate] if group.rate else None,
            group.figures["reconstruction/mse"],
            i,
            group.label,
            "" if long else group.label,
        )
        for i, group in enumerate(groups)
        if "reconstruction/mse" in group.figures
    ]
    note = "Nearer to the lower left is better: fewer bits, smaller error."
    return scatter_chart("Distortion and rate", note, "rate, bits per image", "reconstruction MSE", dots)


def sampling_chart(groups: Sequence[Group]) -> Chart | None:
    """How well each group and prior samples against how well the group reconstructs."""
    long = _long(groups)
    dots = [
        Dot(
            group.figures["reconstruction/fd"],
            group.figures[f"samples/{prior}/fd"],
            i,
            f"{group.label} · {prior}",
            prior if long else f"{group.label} · {prior}",
        )
        for i, group in enumerate(groups)
        for prior in group.priors
        if "reconstruction/fd" in group.figures and f"samples/{prior}/fd" in group.figures
    ]
    note = "Samples can hardly be nearer to the data than the decoder's own reconstructions."
    return scatter_chart("Reconstruction and sampling", note, "FD of reconstructions", "FD of samples", dots)


def _long(groups: Sequence[Group]) -> bool:
    return any(len(group.label) > LONG for group in groups)


def training_charts(groups: Sequence[Group]) -> list[Chart | None]:
    """Objective, validation error and codes in use by step, of every run."""
    runs = [(i, read_curves(run.path / "metrics.csv")) for i, group in enumerate(groups) for run in group.runs]
    return [
        curves_chart(title, name, unit, [Curve(curves.get(name, []), i) for i, curves in runs])
        for name, (title, unit) in CURVES.items()
    ]
