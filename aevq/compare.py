"""`python -m aevq.compare runs/sweep/…`: finished runs side by side in one report, from their folders alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from aevq.config.command_line import options_command
from aevq.errors import UserError, optional
from aevq.report.comparison import Comparison, compare_folders
from aevq.report.console import short_path
from aevq.report.records import Record, comparison_rows
from aevq.report.tables import terminal_table
from aevq.runs.folder import find_folder, is_run

SHOWN = ("MSE", "FD samples", "rate")  # columns that fit into a terminal


@dataclass
class Options:
    """Compare finished runs: index.html, comparison.csv and comparison.md.

    python -m aevq.compare latest
    python -m aevq.compare runs/sweep/<time> runs/<run> out=report --allow-mixed

    Attributes:
        folders: Sweeps and runs, by path or name; latest is the newest sweep.
        out: Folder of the report; by default `report` in the sweep's folder, or here if several folders are given.
        allow_mixed: Whether to compare runs of different data, or measured differently, with a warning.
        runs: Folder of all runs.
    """

    folders: list[str] = field(default_factory=list)
    out: str | None = None
    allow_mixed: bool = False
    runs: str = "runs"


def compare(
    folders: Sequence[str | Path], out: str | Path | None = None, allow_mixed: bool = False, runs: str | Path = "runs"
) -> Path:
    """Write the report of runs, print its main table and return the path of its index.html; arguments as in `Options`.

    Raises:
        UserError: If there is no such run, a file of one is damaged, or runs are not comparable.
    """
    if not folders:
        raise UserError("compare: expected folders of runs or sweeps, or latest")
    paths = [find_folder(str(folder), Path(runs)) for folder in folders]
    in_sweep = len(paths) == 1 and not is_run(paths[0])
    return _report(
        compare_folders(paths, allow_mixed), Path(out) if out else (paths[0] if in_sweep else Path()) / "report"
    )


def compare_sweep(sweep: Path) -> None:
    """Compare the runs of a sweep; their loggers show the report and one table of all runs."""
    comparison = compare_folders([sweep])
    _publish(comparison.collection.finished, sweep, _report(comparison, sweep / "report"))


def _report(comparison: Comparison, folder: Path) -> Path:
    from aevq.report.page import write_report  # loads matplotlib and jinja2, which only a report needs

    index = write_report(comparison, folder)
    console = Console(highlight=False, markup=False)
    if comparison.headline:
        console.print(terminal_table(comparison.headline, SHOWN))
    lines = [f"{job.status}: {job.name}  {job.error or ''}" for job in comparison.collection.unfinished]
    for line in (*lines, *(f"warning: {warning}" for warning in comparison.warnings)):
        console.print(" ".join(line.split()), soft_wrap=True)
    console.print(f"report  {short_path(index.absolute())}", soft_wrap=True)
    return index


def _publish(finished: Sequence[Record], sweep: Path, report: Path) -> None:
    loggers = finished[0].config.get("logger", {}) if finished else {}
    if not loggers.keys() - {"csv"}:
        return  # without importing Lightning
    from aevq.config.instantiate import instantiate
    from aevq.training.loggers import RunLogger

    rows = [row for run in finished for row in comparison_rows(run)]
    for name, node in loggers.items():
        with optional(f"logger.{name}"):
            instantiate(node, f"logger.{name}", RunLogger).publish_sweep(sweep, rows, report)


def main() -> None:
    """Run the command line."""
    options_command(lambda options: compare(**vars(options)), Options(), words="folders")


if __name__ == "__main__":
    main()
