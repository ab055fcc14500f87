"""A comparison of finished runs: its tables and its summary in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aevq.metrics.catalogue import BEST_RATE, BEST_SAMPLES, Metric, entry, find, of_section
from aevq.report.groups import Group, check_comparable, group_runs
from aevq.report.records import Collection, Record, collect
from aevq.report.statistics import estimate
from aevq.report.tables import Cell, Row, Table, cells, make_table, markdown, plain

HEADLINE = (
    *(*of_section("Reconstruction", headline=True), BEST_SAMPLES, BEST_RATE),
    *map(entry, ("likelihood/nll", "probe/latent/linear", "codebook/perplexity", "latent/active_units")),
)
PRIOR_COSTS = tuple(map(entry, ("prior/<prior>/parameters", "prior/<prior>/seconds", "samples/<prior>/milliseconds")))
COSTS = tuple(map(entry, ("parameters", "train/images_per_second", "train/steps")))


@dataclass(frozen=True)
class Comparison:
    """Runs in groups, with their tables."""

    collection: Collection
    groups: Sequence[Group]  # the finished runs, grouped by what they differ in
    warnings: Sequence[str]  # reasons why their metrics are not comparable

    @cached_property
    def runs(self) -> list[Record]:
        """The runs of all groups."""
        return [run for group in self.groups for run in group.runs]

    @property
    def title(self) -> str:
        """Models and data sets."""
        if not self.groups:
            return "No finished run"
        return f"{_and(group.model for group in self.groups)} on {_and(run.measurement.data for run in self.runs)}"

    @property
    def summary(self) -> str:
        """Numbers of runs, seeds and images, and what ± means."""
        sentences = []
        if self.runs:
            seeds = sorted({run.result.seed for run in self.runs})
            sentences += [
                f"{_count(len(self.runs), 'finished run')} in {_count(len(self.groups), 'group')},",
                f"seed{'s' if len(seeds) > 1 else ''} {_and(map(str, seeds))}.",
            ]
        for split, sizes in ((run.measurement.split, run.result.data["sizes"]) for run in self.runs):
            train, val, test = (f"{sizes.get(split, 0):,}" for split in ("train", "val", "test"))
            measured = {"test": f"measured on {test} test images", "val": f"measured on the {val} validation images"}
            sentences.append(f"Trained on {train} images, selected on {val}, and {measured[split]}.")
        if any(len(group.runs) > 1 for group in self.groups):
            sentences.append("Values are means over the seeds ± their standard deviation.")
        if failed := len(self.collection.unfinished):
            sentences.append(f"{_count(failed, 'job')} did not finish.")
        return " ".join(dict.fromkeys(sentences))

    @cached_property
    def headline(self) -> Table:
        """The most important metrics, and those from outside the package; one row per group."""
        names = dict.fromkeys(name for group in self.groups for name in group.metrics)
        own = [name for name in names if not name.startswith("samples/")]
        extra = [found for name in own for metric in self._extra if (found := metric.match(name))]
        return self._group_table((*HEADLINE, *extra))

    @cached_property
    def costs(self) -> Table:
        """Parameters, speed and the seconds of each stage, one row per group."""
        stages = dict.fromkeys(name for group in self.groups for name in group.metrics if name.startswith("seconds/"))
        return self._group_table((*COSTS, *filter(None, map(find, stages))))

    @cached_property
    def prior_costs(self) -> Table:
        """Size of each prior, and the time that fitting and sampling take; one row per group and prior."""
        return make_table(("group", "prior"), PRIOR_COSTS, self._prior_rows(PRIOR_COSTS))

    @cached_property
    def samples(self) -> Table:
        """Metrics of samples, one row per group and prior; below, real data in place of samples."""
        known = (*of_section("Samples"), *self._extra)
        columns = {metric.short: metric for metric in known if metric.name.startswith("samples/<prior>/")}
        rows = self._prior_rows(tuple(columns.values()))
        metrics = [run.metrics for run in self.runs]
        real = [estimate([m[name] for m in metrics if name in m]) for name in (f"real/{short}" for short in columns)]
        references = [Row(("real data", ""), cells(real))] if any(real) else []
        return make_table(("group", "prior"), tuple(columns.values()), rows, references)

    @cached_property
    def _extra(self) -> list[Metric]:
        """Catalogue entries of metrics from outside the package."""
        return list(dict.fromkeys(metric for run in self.runs for metric in run.extra_metrics))

    def _prior_rows(self, metrics: Sequence[Metric]) -> list[Row]:
        return [
            Row((group.label, prior), tuple(_cell(group, metric.name_for(prior=prior)) for metric in metrics), i)
            for i, group in enumerate(self.groups)
            for prior in group.priors
        ]

    def _group_table(self, metrics: Sequence[Metric]) -> Table:
        rows = [
            Row((group.label,), tuple(_group_cell(group, metric) for metric in metrics), i)
            for i, group in enumerate(self.groups)
        ]
        return make_table(("group",), metrics, rows)


def compare_folders(folders: Iterable[Path], allow_mixed: bool = False) -> Comparison:
    """Read the runs in folders of sweeps and runs, and group those that differ in nothing but the seed.

    Raises:
        UserError: If a file is damaged, there is no run, or runs are not comparable and `allow_mixed` is false.
    """
    collection = collect(folders)
    warnings = check_comparable(collection.finished, allow_mixed)
    return Comparison(collection, group_runs(collection.finished), warnings)


def summary_markdown(comparison: Comparison) -> str:
    """Return the summary, the warnings and the two main tables in Markdown."""
    parts = [f"# {plain(comparison.title)}", plain(comparison.summary)]
    parts += [f"> **Warning:** {plain(warning)}" for warning in comparison.warnings]
    parts += [markdown(table) for table in (comparison.headline, comparison.samples) if table]
    if comparison.headline:
        parts.append("**Bold**: best of its column. *Italic*: within the spread of the best.")
    return "\n\n".join(parts) + "\n"


def _group_cell(group: Group, metric: Metric) -> Cell:
    if metric is BEST_SAMPLES:
        return _cell(group, f"samples/{group.priors[0]}/fd", group.priors[0]) if group.priors else Cell(None)
    if metric is BEST_RATE:
        name = group.rate or ""
        return _cell(group, name, name.removeprefix("rate/").removesuffix("_bits"))
    return _cell(group, metric.name)


def _cell(group: Group, name: str, note: str = "") -> Cell:
    if (value := group.metrics.get(name)) is None:
        return Cell(None)
    few = f"n = {value.n}" if value.n < len(group.runs) else ""
    return Cell(value, ", ".join(filter(None, [note, few])))


def _and(words: Iterable[str]) -> str:
    """Return the different words as `a`, `a and b` or `a, b and c`."""
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} and {last}" if first else last


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
