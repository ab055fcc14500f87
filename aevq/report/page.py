"""The report as one HTML file: what stands in each of its parts; what has no content is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from aevq.report import charts, images
from aevq.report import comparison_charts as plots
from aevq.report.charts import Chart
from aevq.report.folders import Collection
from aevq.report.grouping import Group
from aevq.report.labels import value_text
from aevq.report.records import Record
from aevq.report.tables import Cell, cost_table, headline_table, samples_table
from aevq.report.words import best_of, summary_text, title_text

__all__ = ["Comparison", "render"]

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
    environment.filters |= {"sort_key": _sort_key, "value_text": value_text}
    return environment.get_template("page.html.j2").render(_content(comparison))


def _sort_key(cell: Cell) -> str:
    """What a column is sorted by: the exact mean; nothing where there is none."""
    return "" if cell.value is None else repr(cell.value.mean)


def _content(comparison: Comparison) -> dict[str, Any]:
    groups = comparison.groups
    runs = [run for group in groups for run in group.runs]
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
        "scatters": _present([plots.rate_chart(groups), plots.sampling_chart(groups)]),
        "no_rate": [group.label for group in groups if group.rate is None],
        "curves": _present(plots.training_charts(groups)),
        "unfinished": comparison.collection.unfinished,
        "repeats": [run.path.name for group in groups for run in group.repeats],
        "commands": comparison.collection.commands,
        "runs": runs,
        "versions": _versions(runs),
        "facts": _facts(runs),
    }


def _present(found: Any) -> list[Chart]:
    return [chart for chart in found if chart]


def _versions(runs: Sequence[Record]) -> dict[str, str]:
    """Of each package the versions that the runs were made with."""
    packages = dict.fromkeys(package for run in runs for package in run.result.versions)
    return {package: _different(run.result.versions.get(package, "unknown") for run in runs) for package in packages}


def _facts(runs: Sequence[Record]) -> dict[str, str]:
    """What the runs were made on and measured by."""
    facts = {
        "commit": _different(commit for run in runs for commit in _commits(run)),
        "device": _different(run.result.device for run in runs),
        "data (SHA-256)": _different(run.measurement.fingerprint for run in runs),
        "metrics version": _different(run.measurement.metrics_version or "unknown" for run in runs),
        "resumed": _different(f"{run.path.name} ({run.result.resumed}x)" for run in runs if run.result.resumed),
        "samples a prior": _different(f"{run.measurement.samples:,}" for run in runs if run.measurement.samples),
    }
    return {name: text for name, text in facts.items() if text}


def _commits(run: Record) -> list[str]:
    """Of its first start, and of each time that it was resumed."""
    states = [run.result.git, *(resume.get("git") for resume in run.result.resumes)]
    return [
        f"{(git or {}).get('commit', 'unknown')}{' with local changes' if (git or {}).get('dirty') else ''}"
        for git in states
    ]


def _different(texts: Any) -> str:
    return ", ".join(dict.fromkeys(filter(None, texts)))
