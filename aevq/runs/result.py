"""result.json: what was trained, on what, how far the run came, and its metrics.

`status` is `running` until the end, then `finished`, `failed` (with the error) or `interrupted`. Only the metrics of a
finished run count.
"""

from __future__ import annotations

from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Final, Literal, NotRequired

from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from aevq.config.checks import STRICT
from aevq.runs.folder import read_json, write_json

__all__ = ["SCHEMA_VERSION", "DataSummary", "ModelSummary", "Result", "read_result", "write_result"]

SCHEMA_VERSION: Final = 1


class ModelSummary(TypedDict):
    """The model of a run: name, full class name, and number of parameters."""

    name: str
    target: str
    parameters: int


class DataSummary(TypedDict):
    """The data of a run: name, SHA-256 and size of each split, and the class that was left out, if any."""

    name: str
    fingerprint: dict[str, str]
    sizes: dict[str, int]
    left_out: NotRequired[int]


@dataclass(config=STRICT)
class Result:
    """The content of `result.json`.

    Attributes:
        schema_version: Version of this layout.
        name: Name of the run, which is the name of its folder.
        status: running, finished, failed or interrupted.
        model: What was trained.
        data: What it was trained on.
        seed: The run's seed.
        command: The command line.
        started: When the run started, ISO 8601 with time zone.
        error: Why it failed or was interrupted.
        resumed: How often it was resumed.
        resumes: For each resume: when, by which command, and from which commit and versions.
        versions: Versions of Python and the packages.
        git: Commit, and whether the working tree had changes; None outside a checkout.
        device: What it was trained on.
        train: Seconds, steps, epochs and images per second of the model's training.
        seconds: Wall time of each stage, by name.
        objective: Name and value of the metric that a sweep minimises.
        metrics: All metrics by name.
        extra_metrics: Catalogue entries (`aevq.metrics.catalogue.Metric`) of metrics from outside the package.
        metrics_version: Version of the measuring protocol; metrics of two versions are not comparable.
        weights: SHA-256 of the checkpoint that was measured.
    """

    schema_version: Literal[1] = field(default=SCHEMA_VERSION, kw_only=True)
    name: str
    status: Literal["running", "finished", "failed", "interrupted"]
    model: ModelSummary
    data: DataSummary
    seed: int
    command: str
    started: str
    error: str | None = None
    resumed: int = 0
    resumes: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    git: dict[str, str | bool] | None = None
    device: str = ""
    train: dict[str, int | float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    objective: dict[str, str | float] | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    extra_metrics: list[dict[str, Any]] = field(default_factory=list)
    metrics_version: str | None = None
    weights: str | None = None

    @property
    def objective_value(self) -> float | None:
        """Value of the metric that a sweep minimises, if the run has it."""
        return float(self.objective["value"]) if self.objective else None


def write_result(result: Result, path: Path) -> None:
    """Write `result` to `path`, all or nothing."""
    write_json(path, asdict(result))


def read_result(path: Path) -> Result:
    """Return the result in a file.

    Raises:
        UserError: If the file is missing, torn, or not a result of this schema version.
    """
    return read_json(path, Result)
