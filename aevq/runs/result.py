"""result.json: what a run was, how far it came, and what was measured.

`status` is `running` until the end, then `finished`, `failed` (with the error) or `interrupted`. A reader takes figures
only from a finished run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from aevq.config.schema import check_value
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.runs.sealed import seal_json, unseal_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SCHEMA_VERSION", "Result", "read_result", "write_result"]

SCHEMA_VERSION = 1
Status = Literal["running", "finished", "failed", "interrupted"]


@dataclass
class Result:
    """The content of `result.json`.

    Attributes:
        name: Name of the run, which is its folder's.
        status: running, finished, failed or interrupted.
        model: Name, class and number of parameters.
        data: Name, fingerprints (SHA-256 of each split) and sizes of the splits.
        seed: The run's seed.
        command: The command line.
        started: When the run began, ISO 8601 with time zone.
        error: Why it failed.
        resumed: How often it was resumed.
        resumes: Of each time: when, by which command, and from which commit and versions.
        versions: Of Python and the packages.
        git: Commit, and whether the tree was dirty; None outside a checkout.
        device: What it was trained on.
        train: Seconds, steps, epochs, images per second of the model's training.
        seconds: Wall time of each stage, by name.
        objective: Name and value of the number that a sweep minimises.
        metrics: All figures by name.
        extra_metrics: Catalogue entries (`aevq.metrics.catalogue.Metric`) of metrics from outside the package.
        metrics_version: How they were measured; figures of two versions are not comparable.
        weights: SHA-256 of the checkpoint that was measured.
        sealed: Whether the run's config.yaml carries its SHA-256, as all do by now.
        schema_version: Of this layout.
    """

    name: str
    status: str
    model: dict[str, Any]
    data: dict[str, Any]
    seed: int
    command: str
    started: str
    error: str | None = None
    resumed: int = 0
    resumes: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    git: dict[str, Any] | None = None
    device: str = ""
    train: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    objective: dict[str, Any] | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    extra_metrics: list[dict[str, Any]] = field(default_factory=list)
    metrics_version: str | None = None
    weights: str | None = None
    sealed: bool = False
    schema_version: int = SCHEMA_VERSION

    @property
    def objective_value(self) -> float | None:
        """The number that a sweep minimises, if the run has it."""
        return self.objective["value"] if self.objective else None


def write_result(result: Result, path: Path) -> None:
    """Write `result` to `path`, all or nothing."""
    atomic_write(path, seal_json(asdict(result)))


def read_result(path: Path) -> Result:
    """The result in a file.

    Raises:
        UserError: If the file is missing, torn, was changed, or is of another schema version.
    """
    try:
        values = unseal_json(path.read_text(encoding="utf-8"))
        found = values["schema_version"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a readable result ({error})") from error
    if found != SCHEMA_VERSION:
        raise UserError(f"{path}: expected schema_version {SCHEMA_VERSION}, got {found!r}")
    known = {name: value for name, value in values.items() if name in _types()}
    for name, value in known.items():
        check_value(f"{path}: {name}", value, _types()[name])
    try:
        return Result(**known)
    except TypeError as error:
        raise UserError(f"{path}: not a complete result ({error})") from error


@cache
def _types() -> dict[str, Any]:
    """The type of each field; what a number may be, and which statuses there are, is said here alone."""
    types = {field.name: field.type for field in fields(Result)}
    return {name: eval(str(kind), globals()) for name, kind in types.items()} | {"status": Status}
