"""Markdown tables of a study's results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aevq.report.statistics import BEST, WITHIN, Estimate, Goal, Mark, marks
from experiments.lab.results import Results

__all__ = ["Column", "grid", "table"]

Rows = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Column:
    """A figure.

    Attributes:
        name: Of the figure, behind its row's prefix; or several with `|` between them, of which the first is taken that
            a group has.
        title: Head of the column.
        goal: Whether lower or higher is better, or the nearer to one: the best of the column is printed bold.
    """

    name: str
    title: str
    goal: Goal | None = None


def table(results: Results, first: str, columns: Sequence[Column], rows: Rows, references: Rows | None = None) -> str:
    """One row a group, or a group and a prior; the best of a column is bold, what cannot be told from it italic.

    Args:
        results: Of the study.
        first: Head of the first column.
        columns: The figures.
        rows: Title of the row → label of its group and prefix of its figures, say `samples/mixture/`.
        references: Rows below, which are not in the running.
    """
    cells = [_column(results, column, rows) + _column(results, column, references or {}, False) for column in columns]
    lines = [[title, *row] for title, *row in zip([*rows, *(references or {})], *cells, strict=True)]
    return grid([first, *(column.title for column in columns)], lines)


def _column(results: Results, column: Column, rows: Rows, marked: bool = True) -> list[str]:
    values = [_find(results, label, prefix, column) for label, prefix in rows.values()]
    signs = marks(values, column.goal if marked else None)
    return [_cell(value, sign) for value, sign in zip(values, signs, strict=True)]


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _find(results: Results, label: str, prefix: str, column: Column) -> Estimate | None:
    found = (results.get(label, prefix + name) for name in column.name.split("|"))
    return next((value for value in found if value), None)


def _cell(value: Estimate | None, mark: Mark) -> str:
    if value is None:
        return "–"
    return {BEST: f"**{value}**", WITHIN: f"*{value}*"}.get(mark, str(value))
