"""results.json: every metric of every run of a study, and where it comes from. The README is made from it alone."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.report.comparison import compare_folders
from aevq.report.records import Record
from aevq.report.statistics import Estimate, estimate

FILE = "results.json"
DIGITS = 6  # significant digits of a metric that is not an integer
NOT_KEPT = ("latent/kl/", "seconds/")  # one value for each of many dimensions; values that differ between equal runs


@dataclass(frozen=True)
class Row:
    """One run."""

    label: str  # of its group: runs that differ in nothing but the seed
    model: str  # name of its class
    settings: dict[str, Any]  # keys and values of its configuration that differ from other groups'
    seed: int
    run: str  # name of its folder
    metrics: dict[str, float]


@dataclass(frozen=True)
class Results:
    """The runs of a study, and where they come from."""

    commands: list[str]
    data: list[dict[str, Any]]  # name, split fingerprints (SHA-256) and split sizes of each data set
    metrics_version: str | None  # of the evaluation protocol
    commit: list[str]  # that the runs were trained from, with `+` where files had been changed
    versions: dict[str, str]  # of Python and the packages
    rows: list[Row]

    @property
    def labels(self) -> list[str]:
        """The groups, in order."""
        return list(dict.fromkeys(row.label for row in self.rows))

    @cached_property
    def seeds(self) -> list[int]:
        """All seeds."""
        return sorted({row.seed for row in self.rows})

    def of(self, label: str) -> list[Row]:
        """Return the runs of a group, ordered by seed; a UserError if there is no such group."""
        rows = [row for row in self.rows if row.label == label]
        if not rows:
            raise UserError(f"results: there is no group {label!r}; the groups are {', '.join(self.labels)}")
        return sorted(rows, key=lambda row: row.seed)

    def settings(self, label: str) -> dict[str, Any]:
        """Return what distinguishes the configuration of a group."""
        return self.of(label)[0].settings

    def where(self, model: str | None = None, **settings: Any) -> list[str]:
        """Return the labels of the groups of a model that have these settings; `.` in a key is written `__`."""
        wanted = {key.replace("__", "."): value for key, value in settings.items()}
        return [
            label
            for label in self.labels
            if model in (None, self.of(label)[0].model)
            if all(self.settings(label).get(key) == value for key, value in wanted.items())
        ]

    def get(self, label: str, name: str) -> Estimate | None:
        """Return a metric of a group over its seeds; None if the group does not have it."""
        return estimate([row.metrics[name] for row in self.of(label) if name in row.metrics])


def collect_results(folders: Iterable[Path], commands: Sequence[str], allow_mixed: bool = False) -> Results:
    """Read the finished runs in folders of sweeps and runs; `allow_mixed` allows them to have different data.

    A UserError if a run has not finished, or two runs were measured differently.
    """
    comparison = compare_folders(folders, allow_mixed)
    if unfinished := comparison.collection.unfinished:
        raise UserError(f"study: {len(unfinished)} jobs have not finished, for example {unfinished[0].name}")
    runs = comparison.collection.finished
    data = [{key: run.result.data[key] for key in ("name", "fingerprint", "sizes")} for run in runs]
    data = [each for i, each in enumerate(data) if each not in data[:i]]
    commits = sorted({_commit(run.result.git) for run in runs})
    rows = [
        Row(group.label, group.model, group.settings, run.result.seed, run.path.name, _metrics(run))
        for group in comparison.groups
        for run in group.runs
    ]
    version, versions = runs[0].measurement.metrics_version, runs[0].result.versions
    return Results(list(commands), data, version, commits, versions, rows)


def _commit(git: dict[str, Any] | None) -> str:
    return f"{git['commit'][:12]}{'+' if git.get('dirty') else ''}" if git else "unknown"


def _metrics(run: Record) -> dict[str, float]:
    metrics = run.metrics | {"minutes": sum(run.result.seconds.values()) / 60}
    kept = {name: value for name, value in metrics.items() if not name.startswith(NOT_KEPT)}
    return {name: value if value.is_integer() else float(f"{value:.{DIGITS}g}") for name, value in kept.items()}


def write_results(results: Results, folder: Path) -> Path:
    """Write results.json into a folder, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(results)
    rows = ",\n    ".join(json.dumps(row, ensure_ascii=False) for row in content.pop("rows"))
    head = json.dumps(content, indent=2, ensure_ascii=False)
    atomic_write(folder / FILE, f'{head[:-2]},\n  "rows": [\n    {rows}\n  ]\n}}\n')
    return folder / FILE


def read_results(folder: Path) -> Results:
    """Read the results in a folder; a UserError if there are none, or the file is damaged."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Results(**content | {"rows": [Row(**row) for row in content["rows"]]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable results ({error})") from error


def has_results(folder: Path) -> bool:
    """Return whether a folder has results."""
    return (folder / FILE).is_file()
