"""The report as one HTML file: what stands in each of its parts; what has no content is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from aevq.report import charts, images
from aevq.report.catalogue import SAMPLES
from aevq.report.charts import Chart, Curve, Dot, curves_chart, scatter_chart
from aevq.report.folders import Collection
from aevq.report.grouping import Group
from aevq.report.records import Curves, Record, read_curves
from aevq.report.summary import best_of, summary_text, title_text
from aevq.report.tables import Cell, cost_table, headline_table, samples_table

__all__ = ["Comparison", "render"]

CURVES = {
    "train/objective": ("Training objective", "nats per image"),
    "val/mse": ("Validation error", "MSE"),
    "val/codebook_perplexity": ("Codes in use while training", "perplexity"),
}
COLOURS, SHAPES = 8, 5


@dataclass(frozen=True)
class Comparison:
    """What was found, in groups.

    Attributes:
        collection: Finished and unfinished runs.
        groups: The finished ones by what they differ in.
        warnings: Why their figures should not have been put together, where they were all the same.
    """

    collection: Collection
    groups: Sequence[Group]
    warnings: Sequence[str]


def render(comparison: Comparison) -> str:
    """The page; all that comes from files is escaped."""
    environment = Environment(
        loader=PackageLoader("aevq.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"colour": lambda i: f"c{i % COLOURS}", "shape": lambda i: i % SHAPES, "chart_size": charts}
    environment.filters["sort_key"] = _sort_key
    return environment.get_template("page.html.j2").render(_content(comparison))


def _sort_key(cell: Cell) -> str:
    """What a column is sorted by: the exact mean; nothing where there is none."""
    return "" if cell.value is None else repr(cell.value.mean)


def _content(comparison: Comparison) -> dict[str, Any]:
    groups = comparison.groups
    runs = [run for group in groups for run in group.runs]
    curves = {run.path: read_curves(run.path / "metrics.csv") for run in runs}
    usage = [images.picture_of(group, i, "codebook_usage") for i, group in enumerate(groups)]
    latent = [images.picture_of(group, i, "latent_space") for i, group in enumerate(groups)]
    return {
        "title": title_text(groups),
        "summary": summary_text(comparison.collection, groups),
        "written": f"{datetime.now().astimezone():%-d %B %Y, %H:%M}",
        "warnings": comparison.warnings,
        "best": best_of(groups),
        "groups": groups,
        "headline": headline_table(groups),
        "sample_figures": samples_table(groups),
        "cost": cost_table(groups),
        "reconstructions": images.reconstructions(groups),
        "samples": images.samples(groups),
        "latent_maps": [picture for picture in latent if picture],
        "codebooks": [picture for picture in usage if picture],
        "scatters": _present([_rate_chart(groups), _sampling_chart(groups)]),
        "no_rate": [group.label for group in groups if group.rate is None],
        "curves": _present(_curve_chart(groups, curves, name) for name in CURVES),
        "unfinished": comparison.collection.unfinished,
        "repeats": [run.path.name for group in groups for run in group.repeats],
        "commands": comparison.collection.commands,
        "runs": runs,
        "versions": _versions(runs),
        "facts": _facts(runs),
        "about": {metric.title: metric.about for metric in SAMPLES},
    }


def _present(found: Any) -> list[Chart]:
    return [chart for chart in found if chart]


def _rate_chart(groups: Sequence[Group]) -> Chart | None:
    """Distortion against rate; what has no rate lies as a line across."""
    dots = [
        Dot(group.figures[group.rate] if group.rate else None, group.figures["reconstruction/mse"], i, group.label)
        for i, group in enumerate(groups)
        if "reconstruction/mse" in group.figures
    ]
    note = "Nearer to the lower left is better: fewer bits, smaller error."
    return scatter_chart("Distortion and rate", note, "rate, bits per image", "reconstruction MSE", dots)


def _sampling_chart(groups: Sequence[Group]) -> Chart | None:
    """How well each group and prior samples against how well the group reconstructs."""
    dots = [
        Dot(group.figures["reconstruction/fd"], group.figures[f"samples/{prior}/fd"], i, f"{group.label} · {prior}")
        for i, group in enumerate(groups)
        for prior in group.priors
        if "reconstruction/fd" in group.figures and f"samples/{prior}/fd" in group.figures
    ]
    note = "Samples can hardly be nearer to the data than the decoder's own reconstructions."
    return scatter_chart("Reconstruction and sampling", note, "FD of reconstructions", "FD of samples", dots)


def _curve_chart(groups: Sequence[Group], curves: Mapping[Any, Curves], name: str) -> Chart | None:
    title, unit = CURVES[name]
    found = [Curve(curves[run.path].get(name, []), i) for i, group in enumerate(groups) for run in group.runs]
    return curves_chart(title, name, unit, found)


def _versions(runs: Sequence[Record]) -> dict[str, str]:
    """Of each package the versions that the runs were made with."""
    packages = dict.fromkeys(package for run in runs for package in run.result.versions)
    return {package: _different(run.result.versions.get(package, "unknown") for run in runs) for package in packages}


def _facts(runs: Sequence[Record]) -> dict[str, str]:
    """What the runs were made on and measured by."""
    facts = {
        "commit": _different(map(_commit, runs)),
        "device": _different(run.result.device for run in runs),
        "data (SHA-256)": _different(run.measurement.fingerprint for run in runs),
        "metrics version": _different(run.measurement.metrics_version or "unknown" for run in runs),
        "samples a prior": _different(f"{run.measurement.samples:,}" for run in runs if run.measurement.samples),
    }
    return {name: text for name, text in facts.items() if text}


def _commit(run: Record) -> str:
    git = run.result.git or {}
    return f"{git.get('commit', 'unknown')}{' with local changes' if git.get('dirty') else ''}"


def _different(texts: Any) -> str:
    return ", ".join(dict.fromkeys(filter(None, texts)))
