"""One run as a report sees it: the small files of its folder, read once."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aevq.config.schema import check_value
from aevq.errors import UserError
from aevq.runs.folder import read_config
from aevq.runs.result import SCHEMA_VERSION, Result, read_result

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
        mode_samples: Samples that modes were counted on; None where none were.
    """

    data: str
    fingerprint: str
    binarize: str
    metrics_version: str | None
    samples: int | None
    mode_samples: int | None


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
        folder = self.path / "images"
        path = folder / f"{name}.png"
        inside = path.resolve().is_relative_to(folder.resolve())  # a name, or a link, may point elsewhere
        return path if inside and path.is_file() else None


def read_record(path: Path) -> Record:
    """The run in a folder.

    Raises:
        UserError: If one of its files is torn or of another schema version.
    """
    result = read_result(path / "result.json")
    _check_result(path / "result.json", result)
    config = read_config(path / "config.yaml")
    evaluation = _read_evaluation(path / "evaluation.json", result.weights)
    asked = _group(config, "evaluation")
    measured = evaluation["settings"] if evaluation else asked
    samples, of_modes = measured.get("samples"), {measured.get("mode_samples"), asked.get("mode_samples")}
    same = samples == asked.get("samples") and len(of_modes - {None}) < 2  # runs older than modes counted none
    own = _measured_alike(result, evaluation, same)
    figures = own | (evaluation["metrics"] if evaluation else {})
    measurement = Measurement(
        data=result.data["name"],
        fingerprint=result.data["fingerprint"]["all"],
        binarize=str(_group(config, "data").get("binarize", "none")),
        metrics_version=evaluation["metrics_version"] if evaluation else result.metrics_version,
        samples=samples if any(name.startswith("samples/") for name in figures) else None,
        mode_samples=_mode_samples(figures),
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


def _mode_samples(figures: dict[str, float]) -> int | None:
    """How many samples the modes of any prior were counted on, most of all."""
    counts = [int(v) for name, v in figures.items() if name.startswith("samples/") and name.endswith("/mode_samples")]
    return max(counts, default=None)


_OF_SAMPLES = ("samples", "floor")


def _group(config: dict[str, Any], name: str) -> dict[str, Any]:
    group = config.get(name)
    return group if isinstance(group, dict) else {}


def _check_result(path: Path, result: Result) -> None:
    """Check that a finished run says what a report needs.

    Raises:
        UserError: If something is missing or of another type.
    """
    for field, key, kind in _NEEDED:
        check_value(f"{path}: {field}.{key}", getattr(result, field).get(key), kind)


_NEEDED = (
    ("model", "name", str),
    ("model", "parameters", int),
    ("data", "name", str),
    ("data", "fingerprint", dict[str, str]),
)


def _costs(result: Result) -> dict[str, float]:
    costs = {"parameters": float(result.model["parameters"])}
    costs |= {f"train/{name}": float(value) for name, value in result.train.items()}
    return costs | {f"seconds/{stage}": float(value) for stage, value in result.seconds.items()}


def _read_evaluation(path: Path, weights: str | None) -> dict[str, Any] | None:
    """The content of evaluation.json; None where the run was not evaluated.

    Args:
        path: The file.
        weights: SHA-256 of the run's weights, where it says so.

    Raises:
        UserError: If it is torn, was changed, is of another schema version, or measures other weights.
    """
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        content["metrics"], content["metrics_version"], content["settings"]["samples"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable evaluation ({type(error).__name__}: {error})") from error
    if version != SCHEMA_VERSION:
        raise UserError(f"{path}: expected schema_version {SCHEMA_VERSION}, got {version!r}")
    check_value(f"{path}: metrics", content["metrics"], dict[str, float])
    check_value(f"{path}: metrics_version", content["metrics_version"], str | None)
    check_value(f"{path}: settings.samples", content["settings"]["samples"], int)
    if weights is not None and content.get("weights", weights) != weights:
        raise UserError(f"{path}: it measures other weights than the run's; python -m aevq.evaluate measures these")
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
