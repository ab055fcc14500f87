"""Markdown tables of a study's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aevq.evaluate import FOR_CODES, FOR_VECTORS
from aevq.report.catalogue import Metric
from aevq.report.statistics import Estimate, marks
from aevq.report.tables import Cell
from aevq.report.text import markdown_cell, markdown_grid
from experiments.common.results import Results

__all__ = ["sample_rows", "table"]

Rows = Mapping[str, tuple[str, str]]


def table(results: Results, first: str, columns: Sequence[Metric], rows: Rows, references: Rows | None = None) -> str:
    """One row a group, or a group and a prior; the best of a column is bold, what cannot be told from it italic.

    Args:
        results: Of the study.
        first: Head of the first column.
        columns: The figures. Names stand behind their row's prefix; of several with `|` between them the first is taken
            that a group has.
        rows: Title of the row → label of its group and prefix of its figures, say `samples/mixture/`.
        references: Rows below, which are not in the running.
    """
    cells = [_column(results, column, rows) + _column(results, column, references or {}, False) for column in columns]
    lines = [[title, *row] for title, *row in zip([*rows, *(references or {})], *cells, strict=True)]
    return markdown_grid([first, *(column.title for column in columns)], lines)


def sample_rows(results: Results, models: Rows) -> dict[str, tuple[str, str]]:
    """A row for each model and prior that it was sampled with, of the models' rows."""
    return {
        f"{title}, {prior}": (label, f"samples/{prior}/")
        for title, (label, _) in models.items()
        for prior in (*FOR_VECTORS, *FOR_CODES)
        if results.get(label, f"samples/{prior}/fd")
    }


def _column(results: Results, column: Metric, rows: Rows, marked: bool = True) -> list[str]:
    values = [_find(results, label, prefix, column) for label, prefix in rows.values()]
    signs = marks(values, column.goal if marked else None)
    return [markdown_cell(Cell(value, sign)) for value, sign in zip(values, signs, strict=True)]


def _find(results: Results, label: str, prefix: str, column: Metric) -> Estimate | None:
    found = (results.get(label, prefix + name) for name in column.name.split("|"))
    return next((value for value in found if value), None)
