"""The comparison as plain files: comparison.csv with every figure, comparison.md with the tables one looks at."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from aevq.report.statistics import BEST, WITHIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aevq.report.grouping import Group
    from aevq.report.tables import Cell, Row, Table

__all__ = ["as_csv", "as_markdown"]


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
    lines = [heads, ["---"] * len(heads), *(_row(row, with_priors) for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(row: Row, with_priors: bool) -> list[str]:
    return [_plain(row.label), *([_plain(row.prior)] if with_priors else []), *(_cell(cell) for cell in row.cells)]


def _cell(cell: Cell) -> str:
    text = {BEST: f"**{cell}**", WITHIN: f"*{cell}*"}.get(cell.mark, str(cell))
    few = f" (n = {cell.value.n})" if cell.few and cell.value else ""
    return text + few + (f" ({_plain(cell.note)})" if cell.note else "")


def _plain(text: str) -> str:
    """Names from outside are text: they open no column, no line and no tag."""
    for sign, safe in {"&": "&amp;", "<": "&lt;", "|": "\\|", "\n": " "}.items():
        text = text.replace(sign, safe)
    return text
