"""One run as a report sees it: the small files of its folder, read once."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from aevq.errors import UserError
from aevq.results import SCHEMA_VERSION, Result, read_result

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Measurement", "Record", "read_curves", "read_record"]

Curves = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class Measurement:
    """How a run's figures came about: only figures of equal measurements may share a table.

    Attributes:
        data: Name of the data set.
        fingerprint: SHA-256 of images and labels of all splits.
        binarize: How pixels were made binary, `none` for grey ones.
        metrics_version: Of the protocol; None where the run does not say.
        samples: Samples a prior; None where the run does not say, or has none.
    """

    data: str
    fingerprint: str
    binarize: str
    metrics_version: str | None
    samples: int | None


@dataclass(frozen=True)
class Record:
    """A run folder.

    Attributes:
        path: The folder.
        result: Its result.json.
        config: Its config.yaml as plain values.
        figures: Figures by name: those of result.json, under those of evaluation.json, and the costs.
        measurement: How they came about.
    """

    path: Path
    result: Result
    config: dict[str, Any]
    figures: dict[str, float]
    measurement: Measurement

    def picture(self, name: str) -> Path | None:
        """A PNG of the folder `images`, if the run has it."""
        path = self.path / "images" / f"{name}.png"
        return path if path.is_file() else None


def read_record(path: Path) -> Record:
    """The run in a folder.

    Raises:
        UserError: If one of its files is torn or of another schema version.
    """
    result = read_result(path / "result.json")
    config = _read_config(path / "config.yaml")
    evaluation = _read_evaluation(path / "evaluation.json")
    asked = (config.get("evaluation") or {}).get("samples")
    samples = evaluation["settings"]["samples"] if evaluation else asked
    own = _measured_alike(result, evaluation, samples == asked)
    figures = own | (evaluation["metrics"] if evaluation else {})
    measurement = Measurement(
        data=result.data["name"],
        fingerprint=result.data["fingerprint"]["all"],
        binarize=str((config.get("data") or {}).get("binarize", "none")),
        metrics_version=evaluation["metrics_version"] if evaluation else result.metrics_version,
        samples=samples if any(name.startswith("samples/") for name in figures) else None,
    )
    return Record(path, result, config, figures | _costs(result), measurement)


def _measured_alike(result: Result, evaluation: dict[str, Any] | None, same_samples: bool) -> dict[str, float]:
    """The figures of result.json that may stand beside those of evaluation.json."""
    if evaluation is None:
        return dict(result.metrics)
    if evaluation["metrics_version"] != result.metrics_version:
        return {}
    return {
        name: value for name, value in result.metrics.items() if same_samples or name.split("/")[0] not in _OF_SAMPLES
    }


_OF_SAMPLES = ("samples", "floor")


def _costs(result: Result) -> dict[str, float]:
    costs = {"parameters": float(result.model["parameters"])}
    costs |= {f"train/{name}": float(value) for name, value in result.train.items()}
    return costs | {f"seconds/{stage}": float(value) for stage, value in result.seconds.items()}


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:
        raise UserError(f"{path}: not readable ({error})") from error
    if not isinstance(config, dict):
        raise UserError(f"{path}: not a run's configuration")
    return config


def _read_evaluation(path: Path) -> dict[str, Any] | None:
    """The content of evaluation.json; None where the run was not evaluated."""
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["metrics"], content["metrics_version"], content["settings"]["samples"], content["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable evaluation ({type(error).__name__}: {error})") from error
    if content["schema_version"] != SCHEMA_VERSION:
        raise UserError(f"{path}: expected schema_version {SCHEMA_VERSION}, got {content['schema_version']!r}")
    return content


def read_curves(path: Path) -> Curves:
    """Figures while training, from a metrics.csv: by name `(step, value)` in the order of the steps.

    A row that a kill has torn is passed over; without the file there are no curves.
    """
    curves: Curves = defaultdict(list)
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.reader(file):
            try:
                step, name, value = row
                curves[name].append((int(step), float(value)))
            except ValueError:
                continue
    return {name: sorted(points) for name, points in curves.items()}
