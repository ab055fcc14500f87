"""result.json: what a run was, how far it came, and what was measured.

`status` is `running` until the end, then `finished`, `failed` (with the error) or `interrupted`. A reader takes figures
only from a finished run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from aevq.errors import UserError
from aevq.files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SCHEMA_VERSION", "Result", "read_result", "write_result"]

SCHEMA_VERSION = 1


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
        versions: Of Python and the packages.
        git: Commit, and whether the tree was dirty; None outside a checkout.
        device: What it was trained on.
        train: Seconds, steps, epochs, images per second of the model's training.
        seconds: Wall time of each stage, by name.
        objective: Name and value of the number that a sweep minimises.
        metrics: All figures by name.
        metrics_version: How they were measured; figures of two versions are not comparable.
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
    versions: dict[str, str] = field(default_factory=dict)
    git: dict[str, Any] | None = None
    device: str = ""
    train: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    objective: dict[str, Any] | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    metrics_version: str | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def objective_value(self) -> float | None:
        """The number that a sweep minimises, if the run has it."""
        return self.objective["value"] if self.objective else None


def write_result(result: Result, path: Path) -> None:
    """Write `result` to `path`, all or nothing."""
    atomic_write(path, json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n")


def read_result(path: Path) -> Result:
    """The result in a file.

    Raises:
        UserError: If the file is missing, torn, or of another schema version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = values["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable result ({error})") from error
    if found != SCHEMA_VERSION:
        raise UserError(f"{path}: expected schema_version {SCHEMA_VERSION}, got {found!r}")
    known = {field.name for field in fields(Result)}
    try:
        return Result(**{name: value for name, value in values.items() if name in known})
    except TypeError as error:
        raise UserError(f"{path}: not a complete result ({error})") from error
