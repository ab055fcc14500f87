"""`python -m aevq.compare runs/sweep/…`: finished runs side by side, in one report, from their folders alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aevq.config.command_line import options_command
from aevq.config.terminal import harmless
from aevq.errors import UserError
from aevq.report.console import short_path
from aevq.report.statistics import BEST, WITHIN
from aevq.report.tables import Cell, headline_table
from aevq.report.tables import Table as Headline
from aevq.report.write import Written, compare_folders, write_report
from aevq.runs.folder import find_folder, is_run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Options", "compare", "main"]

SHOWN = ("MSE", "FD samples", "rate")


@dataclass
class Options:
    """Compare finished runs: index.html, comparison.csv and comparison.md.

    python -m aevq.compare latest
    python -m aevq.compare runs/sweep/<time> runs/<run> out=report --allow-mixed

    Attributes:
        folders: Sweeps and runs, by path or name; latest is the newest sweep.
        out: Folder of the report; by default `report` in the sweep's folder, or here where there are several folders.
        allow_mixed: Whether to compare runs of different data, or measured differently, with a warning.
        runs: Where runs are kept.
    """

    folders: list[str] = field(default_factory=list)
    out: str | None = None
    allow_mixed: bool = False
    runs: str = "runs"


def compare(
    folders: Sequence[str | Path], out: str | Path | None = None, allow_mixed: bool = False, runs: str | Path = "runs"
) -> Path:
    """Write the report of the runs in `folders`; arguments as in `Options`.

    Returns:
        Path of its index.html.

    Raises:
        UserError: If there is no such run, a file of one cannot be read, or runs may not be compared.
    """
    if not folders:
        raise UserError("compare: expected folders of runs or sweeps, or latest")
    paths = [find_folder(str(folder), Path(runs)) for folder in folders]
    beside = len(paths) == 1 and not is_run(paths[0])
    target = Path(out) if out else (paths[0] if beside else Path()) / "report"
    written = write_report(compare_folders(paths, allow_mixed), target)
    _print(written)
    return written.index


def _print(written: Written) -> None:
    comparison, console = written.comparison, Console(highlight=False)
    if comparison.groups:
        console.print(_table(headline_table(comparison.groups)))
    for job in comparison.collection.unfinished:
        said = harmless(" ".join(f"{job.status}: {job.name}  {job.error or ''}".split()))
        console.print(escape(said), soft_wrap=True)
    for warning in comparison.warnings:
        console.print(escape(harmless(f"warning: {warning}")), soft_wrap=True)
    console.print(escape(f"report  {short_path(written.index.absolute())}"), soft_wrap=True)


def _table(headline: Headline) -> Table:
    """The few figures that fit into a terminal."""
    table, shown = Table(box=box.SIMPLE_HEAD), [i for i, m in enumerate(headline.columns) if m.title in SHOWN]
    table.add_column("", overflow="fold")
    for metric in (headline.columns[i] for i in shown):
        table.add_column(f"{metric.title} {metric.arrow}".strip(), justify="right")
    for row in headline.rows:
        table.add_row(escape(harmless(row.label)), *(_cell(row.cells[i]) for i in shown))
    return table


def _cell(cell: Cell) -> str:
    text = f"{cell} {cell.note}".rstrip()
    return {BEST: f"[bold]{escape(text)}[/bold]", WITHIN: f"[italic]{escape(text)}[/italic]"}.get(
        cell.mark, escape(text)
    )


def main() -> None:
    """Entry point of the command line."""
    options_command(compare_options, Options(), words="folders")


def compare_options(options: Options) -> Path:
    """`compare` with its arguments as the command line gives them."""
    return compare(options.folders, options.out, options.allow_mixed, options.runs)


if __name__ == "__main__":
    main()
