"""From folders to the files of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.report.folders import collect
from aevq.report.grouping import group_runs, mixture_of
from aevq.report.page import Comparison, render
from aevq.report.tables import headline_table, samples_table
from aevq.report.text import as_csv, as_markdown
from aevq.report.words import summary_text, title_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Written", "compare_folders", "write_report"]


@dataclass(frozen=True)
class Written:
    """A report and what it is of."""

    index: Path
    comparison: Comparison


def compare_folders(folders: Iterable[Path], allow_mixed: bool) -> Comparison:
    """Read the runs of sweep and run folders, and put those that differ in nothing but the seed together.

    Raises:
        UserError: If a file cannot be read, there is no run, or runs may not be compared and `allow_mixed` is false.
    """
    collection = collect(folders)
    warnings = mixture_of(collection.finished, allow_mixed)
    return Comparison(collection, group_runs(collection.finished), warnings)


def write_report(comparison: Comparison, out: Path) -> Written:
    """Write `index.html`, `comparison.csv` and `comparison.md`, each whole or not at all.

    Raises:
        UserError: If they cannot be written.
    """
    groups = comparison.groups
    title, summary = title_text(groups), summary_text(comparison.collection, groups)
    files = {
        "comparison.csv": as_csv(groups),
        "comparison.md": as_markdown(
            title, summary, comparison.warnings, headline_table(groups), samples_table(groups)
        ),
        "index.html": render(comparison),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            atomic_write(out / name, content)
    except OSError as error:
        raise UserError(f"out: cannot write {out} ({error.strerror})") from error
    return Written(out / "index.html", comparison)
