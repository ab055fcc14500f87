"""The tables that a run and an evaluation print at their end."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich import box
from rich.console import Console, Group
from rich.table import Table

from aevq.config.checks import validate
from aevq.metrics.catalogue import Metric, find, number
from aevq.runs.result import Result, prior_costs

SAMPLES, REAL, PRIOR, PER_DIMENSION = "samples/", "real/", "prior/", "latent/kl/"


def print_summary(result: Result, path: Path, split: str) -> None:
    """Print a run's metrics of a split with their units, and where everything is."""
    costs = _table("", "", "", show_header=False)
    costs.add_row("parameters", f"{result.model['parameters']:,}", "")
    for name in ("seconds", "images_per_second"):
        if name in result.train:  # counted by the callback Throughput
            costs.add_row(f"train/{name}", f"{result.train[name]:,.0f}", _unit(f"train/{name}"))
    for stage, seconds in result.seconds.items():
        costs.add_row(name := f"seconds/{stage}", f"{seconds:,.1f}", _unit(name))
    title = f"on {result.data['sizes'][split]:,} {split} images"
    extra = validate("extra_metrics", result.extra_metrics, list[Metric])
    console = Console(highlight=False)
    console.print(f"\n[bold]{result.name}", soft_wrap=True)
    metrics = result.metrics | prior_costs(result.priors) | result.costs
    console.print(metrics_table(metrics, title, extra), costs)
    places = f"images   {short_path(path / 'images')}\nmetrics  {short_path(path / 'result.json')}"
    console.print(places, soft_wrap=True)


def metrics_table(metrics: Mapping[str, float], title: str, extra: Iterable[Metric] = ()) -> Group:
    """Return the metrics by name, those of priors and their samples as matrices with one column per prior.

    `extra` are catalogue entries of metrics from outside the package.
    """
    single = _table(title, "value", "unit")
    for name, value in metrics.items():
        if not name.startswith((PRIOR, SAMPLES, REAL, PER_DIMENSION)):  # a KL for each dimension is for plots
            single.add_row(name, number(value), _unit(name, extra))
    of_priors, samples = (
        {tuple(name.split("/", 2)[1:]): value for name, value in metrics.items() if name.startswith(prefix)}
        for prefix in (PRIOR, SAMPLES)
    )
    if samples:
        real = {name.removeprefix(REAL): value for name, value in metrics.items() if name.startswith(REAL)}
        samples |= {("real", metric): value for metric, value in real.items()}
    matrices = {"priors": of_priors, "samples": samples}
    return Group(single, *(_matrix(name, values) for name, values in matrices.items() if values))


def _matrix(title: str, values: Mapping[tuple[str, ...], float]) -> Table:
    """Return a table of values by `(prior, metric)`, with one column per prior."""
    priors = list(dict.fromkeys(prior for prior, _ in values))
    matrix = _table(title, *priors)
    for metric in dict.fromkeys(metric for _, metric in values):
        row = (values.get((prior, metric)) for prior in priors)
        matrix.add_row(metric, *("" if value is None else number(value) for value in row))
    return matrix


def short_path(path: Path) -> Path:
    """Return a path relative to the current directory if it is below that."""
    return path.relative_to(path.cwd()) if path.is_relative_to(path.cwd()) else path


def _table(first: str, *others: str, show_header: bool = True) -> Table:
    # Little padding: five columns of names like standard_normal fit into 80 characters.
    table = Table(box=box.SIMPLE_HEAD, show_header=show_header, padding=(0, 1), collapse_padding=True, pad_edge=False)
    table.add_column(first)
    for name in others:
        unit = name == "unit"
        table.add_column(name, justify="left" if unit else "right", style="dim" if unit else None, overflow="fold")
    return table


def _unit(name: str, extra: Iterable[Metric] = ()) -> str:
    return metric.unit if (metric := find(name, extra)) else ""
