"""results.json: every figure of every run of a study, and how they came about. Its README is made from it alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.report.grouping import Group
from aevq.report.records import Record
from aevq.report.statistics import Estimate, estimate
from aevq.report.write import compare_folders

__all__ = ["Results", "Row", "collect_results", "has_results", "read_results", "write_results"]

FILE = "results.json"
DIGITS = 6  # significant ones of a figure that is no count
NOT_KEPT = ("latent/kl/", "seconds/")  # a number for each of many dimensions; what differs between two equal runs


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        label: Of its group: runs that differ in nothing but the seed.
        model: Name of its class.
        settings: What its configuration differs in from other groups'.
        seed: Its seed.
        run: Name of its folder.
        figures: By name.
    """

    label: str
    model: str
    settings: dict[str, Any]
    seed: int
    run: str
    figures: dict[str, float]


@dataclass(frozen=True)
class Results:
    """The runs of a study.

    Attributes:
        commands: Command lines that made them.
        data: Of each data set its name, and of its splits the fingerprints (SHA-256) and the sizes.
        metrics_version: How they were measured.
        commit: That they were trained from; with `+` where files had been changed.
        versions: Of Python and the packages.
        rows: The runs.
    """

    commands: list[str]
    data: list[dict[str, Any]]
    metrics_version: str | None
    commit: list[str]
    versions: dict[str, str]
    rows: list[Row]

    @property
    def labels(self) -> list[str]:
        """The groups, in order."""
        return list(dict.fromkeys(row.label for row in self.rows))

    def of(self, label: str) -> list[Row]:
        """The runs of a group, by seed.

        Raises:
            UserError: If there is none of this name.
        """
        rows = [row for row in self.rows if row.label == label]
        if not rows:
            raise UserError(f"results: there is no group {label!r}, but {', '.join(self.labels)}")
        return sorted(rows, key=lambda row: row.seed)

    def where(self, model: str | None = None, **settings: Any) -> list[str]:
        """Labels of the groups of a model whose settings are these; `.` in a key is written `__`."""
        wanted = {key.replace("__", "."): value for key, value in settings.items()}
        return [
            label
            for label in self.labels
            if (row := self.of(label)[0]) and model in (None, row.model)
            if all(row.settings.get(key) == value for key, value in wanted.items())
        ]

    def get(self, label: str, name: str) -> Estimate | None:
        """A figure of a group over its seeds; None where it has none."""
        return estimate([row.figures[name] for row in self.of(label) if name in row.figures])

    @cached_property
    def seeds(self) -> list[int]:
        """All seeds."""
        return sorted({row.seed for row in self.rows})


def collect_results(folders: Iterable[Path], commands: Sequence[str], allow_mixed: bool = False) -> Results:
    """Read the finished runs in folders of sweeps.

    Args:
        folders: Of sweeps and runs.
        commands: That made them.
        allow_mixed: Whether their data may differ.

    Raises:
        UserError: If a run has not finished, or two were measured differently.
    """
    comparison = compare_folders(folders, allow_mixed)
    if unfinished := comparison.collection.unfinished:
        raise UserError(f"study: {len(unfinished)} jobs have not finished, {unfinished[0].name} among them")
    runs = comparison.collection.finished
    return Results(
        commands=list(commands),
        data=list({json.dumps(data): data for data in (_data(run.result.data) for run in runs)}.values()),
        metrics_version=runs[0].measurement.metrics_version,
        commit=sorted({_commit(run.result.git) for run in runs}),
        versions=runs[0].result.versions,
        rows=[row for group in comparison.groups for row in _rows(group)],
    )


def _data(data: dict[str, Any]) -> dict[str, Any]:
    return {"name": data["name"], "fingerprint": data["fingerprint"], "sizes": data["sizes"]}


def _commit(git: dict[str, Any] | None) -> str:
    return f"{git['commit'][:12]}{'+' if git.get('dirty') else ''}" if git else "unknown"


def _rows(group: Group) -> list[Row]:
    return [
        Row(group.label, group.model, group.settings, run.result.seed, run.path.name, _kept(_figures(run)))
        for run in group.runs
    ]


def _kept(figures: dict[str, float]) -> dict[str, float]:
    kept = {name: value for name, value in figures.items() if not name.startswith(NOT_KEPT)}
    return {name: value if value.is_integer() else float(f"{value:.{DIGITS}g}") for name, value in kept.items()}


def _figures(run: Record) -> dict[str, float]:
    return run.figures | {"minutes": sum(run.result.seconds.values()) / 60}


def write_results(results: Results, folder: Path) -> Path:
    """Write results.json into a folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(results)
    rows = ",\n    ".join(json.dumps(row, ensure_ascii=False) for row in content.pop("rows"))
    head = json.dumps(content, indent=2, ensure_ascii=False)
    atomic_write(folder / FILE, f'{head[:-2]},\n  "rows": [\n    {rows}\n  ]\n}}\n')
    return folder / FILE


def read_results(folder: Path) -> Results:
    """The results in a folder.

    Raises:
        UserError: If there are none, or they are torn.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Results(**content | {"rows": [Row(**row) for row in content["rows"]]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable results ({error})") from error


def has_results(folder: Path) -> bool:
    """Whether there are results in a folder."""
    return (folder / FILE).is_file()
