"""The comparison as plain files: comparison.csv with every figure, comparison.md with the tables one looks at."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from aevq.report.statistics import BEST, WITHIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aevq.report.grouping import Group
    from aevq.report.tables import Cell, Row, Table

__all__ = ["as_csv", "as_markdown", "markdown_cell", "markdown_grid"]


def as_csv(groups: Sequence[Group]) -> str:
    """Every figure of every group in long form: `group,metric,mean,std,n`; std is empty for a single run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["group", "metric", "mean", "std", "n"])
    for group in groups:
        for name, value in group.figures.items():
            std = "" if value.std is None else repr(value.std)
            writer.writerow([_no_formula(group.label), _no_formula(name), repr(value.mean), std, value.n])
    return text.getvalue()


def _no_formula(text: str) -> str:
    """A name from outside as a cell that no spreadsheet computes."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def as_markdown(title: str, summary: str, warnings: Sequence[str], headline: Table, samples: Table) -> str:
    """A table of the headline figures and one of samples; bold is best, italic is within the spread of it."""
    parts = [f"# {_plain(title)}", _plain(summary)]
    parts += [f"> **Warning:** {_plain(warning)}" for warning in warnings]
    parts += [_table(table) for table in (headline, samples) if table]
    if headline:
        parts.append("**Bold**: best of its column. *Italic*: within the spread of the best.")
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    with_priors = any(row.prior for row in table.rows)
    heads = ["", *(["prior"] if with_priors else [])]
    heads += [" ".join(filter(None, [m.title + (f", {m.unit}" if m.unit else ""), m.arrow])) for m in table.columns]
    return markdown_grid(heads, [_row(row, with_priors) for row in table.rows])


def markdown_grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells as they are."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _row(row: Row, with_priors: bool) -> list[str]:
    return [
        _plain(row.label),
        *([_plain(row.prior)] if with_priors else []),
        *(markdown_cell(cell) for cell in row.cells),
    ]


def markdown_cell(cell: Cell) -> str:
    """A value, bold where it is best, italic where it is within the spread of the best; a dash where there is none."""
    text = {BEST: f"**{cell}**", WITHIN: f"*{cell}*"}.get(cell.mark, str(cell))
    few = f" (n = {cell.value.n})" if cell.few and cell.value else ""
    return text + few + (f" ({_plain(cell.note)})" if cell.note else "")


def _plain(text: str) -> str:
    """Names from outside are text: they open no column, no line and no tag."""
    for sign, safe in {"&": "&amp;", "<": "&lt;", "|": "\\|", "\n": " "}.items():
        text = text.replace(sign, safe)
    return text
