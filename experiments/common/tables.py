"""Markdown tables of a study's results, with titles, units and directions from the metric catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aevq.metrics.catalogue import Metric, entry, find
from aevq.report.records import sampled_priors
from aevq.report.statistics import Estimate
from aevq.report.tables import Row, cells, make_table, markdown
from experiments.common.results import Results

Column = str | Metric


def column(name: str) -> Metric:
    """Return the catalogue entry of a metric; its title names the prior if the metric is one of samples."""
    metric = find(name) or entry(name)
    samples, _, rest = name.partition("/")
    return replace(metric, title=f"{metric.title}, {rest.partition('/')[0]}") if samples == "samples" else metric


def uncompared(name: str | Metric) -> Metric:
    """Return the entry of a metric whose best value is not marked, because the study sets it or only refers to it."""
    return replace(name if isinstance(name, Metric) else column(name), goal=None)


def get(results: Results, label: str, name: str) -> Estimate | None:
    """Return a metric of a group; a name with `<word>` stands for the lowest of those that it matches."""
    if "<" not in name:
        return results.get(label, name)
    names = dict.fromkeys(each for row in results.of(label) for each in row.metrics if entry(name).match(each))
    found = [value for each in names if (value := results.get(label, each))]
    return min(found, key=lambda value: value.mean, default=None)


def table(results: Results, head: str, columns: Sequence[Column], rows: Mapping[str, str]) -> str:
    """Return a table with one row for each group; `rows` maps titles to the labels of groups."""
    metrics = [each if isinstance(each, Metric) else column(each) for each in columns]
    found = [
        Row((title,), cells(get(results, label, metric.name) for metric in metrics)) for title, label in rows.items()
    ]
    return markdown(make_table((head,), metrics, found))


def priors_by_distance(results: Results, label: str) -> list[str]:
    """Return the priors that a group was sampled from, without options, the largest Fréchet distance first."""
    names = sampled_priors(results.of(label)[0].metrics)
    found = {name: value.mean for name in names if (value := results.get(label, f"samples/{name}/fd"))}
    return sorted(found, key=found.__getitem__, reverse=True)


def priors_table(results: Results, head: str, columns: Sequence[str], rows: Mapping[str, tuple[str, str]]) -> str:
    """Return a table with one row for each prior.

    `columns` are names of metrics with `<prior>` in them, `rows` maps titles to the label of a group and a prior of it.
    """
    entries = [entry(name) for name in columns]
    metrics = [replace(metric, title=metric.title.replace(" by <prior>", "")) for metric in entries]
    found = [
        Row((title,), cells(results.get(label, metric.name_for(prior=prior)) for metric in metrics))
        for title, (label, prior) in rows.items()
    ]
    return markdown(make_table((head,), metrics, found))


def samples_table(
    results: Results, head: str, columns: Sequence[str], rows: Mapping[str, str], priors: Sequence[str] = ()
) -> str:
    """Return a table with one row for each group and prior (by default all); real data in place of samples below.

    `columns` are the last parts of the metrics' names, `rows` maps titles to the labels of groups.
    """
    metrics = [find(each) or entry(each) for each in (f"samples/<prior>/{name}" for name in columns)]
    found = [
        Row((title, prior), cells(results.get(label, f"samples/{prior}/{name}") for name in columns))
        for title, label in rows.items()
        for prior in priors or priors_by_distance(results, label)
    ]
    real = cells(results.get(next(iter(rows.values())), f"real/{name}") for name in columns)
    references = [Row(("real data", ""), real)] if any(cell.value for cell in real) else []
    return markdown(make_table((head, "prior"), metrics, found, references))
