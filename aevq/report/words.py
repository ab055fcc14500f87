"""A comparison in words: title, what was compared, what came out best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aevq.report.catalogue import BEST_RATE, BEST_SAMPLES, RECONSTRUCTION, Metric
from aevq.report.statistics import BEST, WITHIN
from aevq.report.tables import Table, headline_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aevq.report.folders import Collection
    from aevq.report.grouping import Group

__all__ = ["Best", "best_of", "summary_text", "title_text"]

QUESTIONS = {
    "Reconstructs best": RECONSTRUCTION[0],
    "Samples best": BEST_SAMPLES,
    "Fewest bits": BEST_RATE,
}


@dataclass(frozen=True)
class Best:
    """The answer to one question.

    Attributes:
        question: What was asked.
        label: Of the group that is best.
        group: Its index.
        value: Its figure, as printed.
        metric: Which figure.
        note: Its prior, where that matters.
        ties: Labels of the groups that cannot be told from it.
    """

    question: str
    label: str
    group: int
    value: str
    metric: Metric
    note: str
    ties: tuple[str, ...]


def title_text(groups: Sequence[Group]) -> str:
    """Models and data sets."""
    if not groups:
        return "No run finished"
    data = and_list(dict.fromkeys(run.measurement.data for group in groups for run in group.runs))
    return f"{and_list(dict.fromkeys(group.model for group in groups))} on {data}"


def summary_text(collection: Collection, groups: Sequence[Group]) -> str:
    """A paragraph: runs, seeds, splits, and what the ± means."""
    failed = _count(len(collection.unfinished), "job") + " did not finish." if collection.unfinished else ""
    if not groups:
        return failed
    runs = [run for group in groups for run in group.runs]
    seeds = sorted({run.result.seed for run in runs})
    text = [
        f"{_count(len(runs), 'finished run')} in {_count(len(groups), 'group')},",
        f"seed{'s' if len(seeds) > 1 else ''} {and_list(map(str, seeds))}.",
        *dict.fromkeys(_splits(run.result.data["sizes"]) for run in runs),
    ]
    if any(len(group.runs) > 1 for group in groups):
        text.append("Values are means over the seeds ± their standard deviation.")
    return " ".join(filter(None, [*text, failed]))


def _splits(sizes: dict[str, int]) -> str:
    train, val, test = (f"{sizes[split]:,}" for split in ("train", "val", "test"))
    return f"Trained on {train} images, chosen on {val}, and measured on {test} test images."


def best_of(groups: Sequence[Group]) -> list[Best]:
    """Who reconstructs, samples and compresses best; questions that fewer than two groups can answer are left out."""
    table = headline_table(groups)
    return [best for question, metric in QUESTIONS.items() if (best := _best(table, question, metric))]


def _best(table: Table, question: str, metric: Metric) -> Best | None:
    if metric not in table.columns:
        return None
    column = table.columns.index(metric)
    row = next((row for row in table.rows if row.cells[column].mark == BEST), None)
    if row is None or row.group is None:
        return None
    ties = tuple(other.label for other in table.rows if other is not row and other.cells[column].mark in (BEST, WITHIN))
    cell = row.cells[column]
    return Best(question, row.label, row.group, str(cell), metric, cell.note, ties)


def and_list(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
