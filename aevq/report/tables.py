"""The tables of a comparison: which value stands in which cell, and how it is marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aevq.report.catalogue import BEST_RATE, BEST_SAMPLES, COSTS, HEADLINE, SAMPLES, Metric, cost_metric
from aevq.report.statistics import Estimate, Mark, estimate, marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aevq.report.grouping import Group

__all__ = ["Cell", "Row", "Table", "cost_table", "headline_table", "samples_table"]

FLOOR = "real images"


@dataclass(frozen=True)
class Cell:
    """One value.

    Attributes:
        value: None where the group has no such figure.
        mark: Whether it is its column's best, or cannot be told from it.
        note: What it is of, say the prior.
        few: Whether it is of fewer runs than its group has.
    """

    value: Estimate | None
    mark: Mark = ""
    note: str = ""
    few: bool = False

    def __str__(self) -> str:
        return "–" if self.value is None else str(self.value)


@dataclass(frozen=True)
class Row:
    """A group, or a group and a prior.

    Attributes:
        label: Of the group; of a row that belongs to none, what it is.
        group: Index of the group, which its colour follows; None for a reference.
        prior: Name of the prior, where the table has one row for each.
        cells: As many as the table has columns.
    """

    label: str
    group: int | None
    prior: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Columns that no group has a value in are left out."""

    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]

    def __bool__(self) -> bool:
        return bool(self.columns and self.rows)


def headline_table(groups: Sequence[Group]) -> Table:
    """The figures that a comparison is about, one row a group."""
    return _table(HEADLINE, groups)


def cost_table(groups: Sequence[Group]) -> Table:
    """Parameters, speed and the seconds of each stage, one row a group."""
    stages = dict.fromkeys(name for group in groups for name in group.figures if name.startswith("seconds/"))
    return _table((*COSTS, *(cost_metric(name.removeprefix("seconds/")) for name in stages)), groups)


def _table(metrics: Sequence[Metric], groups: Sequence[Group]) -> Table:
    rows = [
        Row(group.label, i, "", tuple(_cell(group, metric) for metric in metrics)) for i, group in enumerate(groups)
    ]
    return _marked(metrics, rows, [])


def samples_table(groups: Sequence[Group]) -> Table:
    """Figures of samples, one row for each group and prior; below, real images in their place: what can be reached."""
    rows = [
        Row(group.label, i, prior, tuple(_at(group, f"samples/{prior}/{metric.name}") for metric in SAMPLES))
        for i, group in enumerate(groups)
        for prior in group.priors
    ]
    return _marked(SAMPLES, rows, _floor(groups) if rows else [])


def _floor(groups: Sequence[Group]) -> list[Row]:
    cells = []
    for metric in SAMPLES:
        name = f"floor/{metric.name}"
        cells.append(Cell(estimate([run.figures[name] for g in groups for run in g.runs if name in run.figures])))
    return [Row(FLOOR, None, "", tuple(cells))] if any(cell.value for cell in cells) else []


def _cell(group: Group, metric: Metric) -> Cell:
    if metric is BEST_SAMPLES:
        prior = next(iter(group.priors), None)
        return _at(group, f"samples/{prior}/fd", prior or "")
    if metric is BEST_RATE:
        return (
            _at(group, group.rate, group.rate.removeprefix("rate/").removesuffix("_bits")) if group.rate else Cell(None)
        )
    return _at(group, metric.name)


def _at(group: Group, name: str, note: str = "") -> Cell:
    value = group.figures.get(name)
    return Cell(value, "", note if value else "", value is not None and value.n < len(group.runs))


def _marked(metrics: Sequence[Metric], rows: Sequence[Row], references: Sequence[Row]) -> Table:
    """Leave out empty columns, and mark the values of the others; references are not in the running."""
    kept = [i for i in range(len(metrics)) if any(row.cells[i].value for row in rows)]
    columns = {i: marks([row.cells[i].value for row in rows], metrics[i].goal) for i in kept}
    marked = [
        Row(row.label, row.group, row.prior, tuple(_with_mark(row.cells[i], columns[i][place]) for i in kept))
        for place, row in enumerate(rows)
    ]
    below = [Row(row.label, row.group, row.prior, tuple(row.cells[i] for i in kept)) for row in references]
    return Table(tuple(metrics[i] for i in kept), (*marked, *below))


def _with_mark(cell: Cell, mark: Mark) -> Cell:
    return Cell(cell.value, mark, cell.note, cell.few)
