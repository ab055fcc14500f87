"""Tables of estimates, and their text as Markdown, as CSV and on a terminal; the HTML report renders the same tables.

The studies in `experiments/` use them as well:

    rows = [Row(("AE",), cells([0.005, 0.006])), Row(("VAE",), cells([0.009, None]))]   # Estimates instead of numbers
    markdown(make_table(("model",), columns, rows))

In Markdown the best value of a column is bold, and a value within the spread of the best is italic.
"""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich import table as rich_table
from rich.text import Text

from aevq.metrics.catalogue import Metric
from aevq.report.statistics import Estimate, Mark, marks


@dataclass(frozen=True)
class Cell:
    """One value."""

    value: Estimate | None  # None if the row has no such metric
    note: str = ""  # shown after the value, for example the prior or the number of runs
    mark: Mark = ""

    def __str__(self) -> str:
        return "–" if self.value is None else str(self.value)


@dataclass(frozen=True)
class Row:
    """One row."""

    labels: tuple[str, ...]  # its name, as many parts as the table has heads: `("VAE", "standard_normal")`
    cells: tuple[Cell, ...]
    group: int | None = None  # index of the group of runs, which chooses the colour


@dataclass(frozen=True)
class Table:
    """A table whose values are marked."""

    heads: tuple[str, ...]  # of the label columns
    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]
    references: tuple[Row, ...] = ()  # rows below that are not compared, for example real data

    def __bool__(self) -> bool:
        return bool(self.columns and self.rows)


def cells(values: Iterable[Estimate | None]) -> tuple[Cell, ...]:
    """Return a cell without a note for each value."""
    return tuple(Cell(value) for value in values)


def make_table(
    heads: Sequence[str], columns: Sequence[Metric], rows: Sequence[Row], references: Sequence[Row] = ()
) -> Table:
    """Return a table with its values marked and without the columns that no row has a value in."""
    kept = [i for i in range(len(columns)) if any(row.cells[i].value for row in rows)]
    column_marks = {i: marks([row.cells[i].value for row in rows], columns[i].goal) for i in kept}
    marked = [
        replace(row, cells=tuple(replace(row.cells[i], mark=column_marks[i][place]) for i in kept))
        for place, row in enumerate(rows)
    ]
    below = [replace(row, cells=tuple(row.cells[i] for i in kept)) for row in references]
    return Table(tuple(heads), tuple(columns[i] for i in kept), tuple(marked), tuple(below))


def head_text(column: Metric) -> str:
    """Return title, unit and better direction: `PSNR, dB ↑`."""
    return f"{column.label} {column.arrow}".rstrip()


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    stars = {"best": "**", "within": "*", "": ""}

    def text(cell: Cell) -> str:
        star, note = stars[cell.mark], f" ({plain(cell.note)})" if cell.note else ""
        return f"{star}{cell}{star}{note}"

    lines = [[*map(plain, row.labels), *map(text, row.cells)] for row in (*table.rows, *table.references)]
    return markdown_grid([*table.heads, *map(head_text, table.columns)], lines)


def markdown_grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of texts, which are not escaped."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def plain(text: str) -> str:
    """Escape a name from outside, so that it opens no column, line or tag in Markdown."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def terminal_table(table: Table, titles: Sequence[str]) -> rich_table.Table:
    """Return the columns with these titles for a terminal."""
    shown = [i for i, column in enumerate(table.columns) if column.title in titles]
    found = rich_table.Table(*table.heads, box=box.SIMPLE_HEAD)
    for i in shown:
        found.add_column(f"{table.columns[i].title} {table.columns[i].arrow}".rstrip(), justify="right")
    styles = {"best": "bold", "within": "italic", "": ""}
    for row in table.rows:
        values = [Text(f"{c} {c.note}".rstrip(), styles[c.mark]) for c in (row.cells[i] for i in shown)]
        found.add_row(*(Text(label, overflow="fold") for label in row.labels), *values)
    return found


def csv_text(estimates: Iterable[tuple[str, str, Estimate]]) -> str:
    """Return `group,metric,mean,std,n` for each group, metric name and estimate; std is empty for a single run."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["group", "metric", "mean", "std", "n"])
    for group, name, value in estimates:
        writer.writerow([group, name, repr(value.mean), "" if value.std is None else repr(value.std), value.n])
    return file.getvalue()
