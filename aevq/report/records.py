"""One finished run as the report sees it: the small files of its folder, read once.

The metrics of evaluation.json replace those of result.json with the same names.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aevq.config.checks import settings, validate
from aevq.errors import UserError
from aevq.metrics.catalogue import Metric
from aevq.runs.folder import RESULT_FILE, read_config, read_json
from aevq.runs.result import Result, read_result

__all__ = ["EvaluationFile", "Measurement", "Record", "read_curves", "read_evaluation", "read_record"]

SAMPLED = ("samples/", "real/")  # metrics that depend on the number of samples


@dataclass(frozen=True)
class Measurement:
    """How the metrics of a run were measured; metrics that were measured differently are not comparable.

    Attributes:
        data: Name of the data set.
        fingerprint: SHA-256 of images and labels of all splits.
        binarize: How pixels were made binary; `none` for grey ones.
        metrics_version: Version of the protocol; None if the run does not say.
        samples: Number of samples per prior; None if none were measured.
        mode_samples: Number of samples that modes were counted on; None if none were counted.
    """

    data: str
    fingerprint: str
    binarize: str
    metrics_version: str | None
    samples: int | None
    mode_samples: int | None


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        path: Its folder.
        result: Its result.json.
        config: Its config.yaml as plain values.
        metrics: Metrics by name, with parameters and costs.
        measurement: How they were measured.
        extra_metrics: Catalogue entries of its metrics from outside the package.
    """

    path: Path
    result: Result
    config: dict[str, Any]
    metrics: dict[str, float]
    measurement: Measurement
    extra_metrics: list[Metric]

    def image(self, name: str) -> Path | None:
        """Return the path of `images/<name>.png`; None if it does not exist or a link leads out of the folder."""
        folder = self.path / "images"
        path = folder / f"{name}.png"
        return path if path.is_file() and path.resolve().is_relative_to(folder.resolve()) else None


@settings
class EvaluationFile:
    """The content of evaluation.json that later commands read.

    Attributes:
        schema_version: Version of this layout.
        metrics_version: Version of the measuring protocol.
        weights: SHA-256 of the checkpoint that was measured.
        settings: Settings of the evaluation.
        metrics: All metrics by name.
        seconds: Wall time of each part, by name.
        extra_metrics: Catalogue entries of metrics from outside the package.
    """

    schema_version: Literal[1]
    metrics_version: str
    weights: str
    settings: dict[str, Any]
    metrics: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    extra_metrics: list[Metric] = field(default_factory=list)


def read_record(path: Path) -> Record:
    """Return the finished run in a folder.

    Raises:
        UserError: If a file of it is damaged or has another schema version.
    """
    result = read_result(path / RESULT_FILE)
    config = read_config(path / "config.yaml")
    evaluation = read_evaluation(path / "evaluation.json")
    if evaluation and result.weights not in (None, evaluation.weights):
        raise UserError(f"{path}: its evaluation is of other weights; run python -m aevq.evaluate run={path} again")
    metrics = _merged(result, _node(config, "evaluation"), evaluation)
    samples = {name: value for name, value in metrics.items() if name.startswith("samples/")}
    mode_counts = [value for name, value in samples.items() if name.endswith("/mode_samples")]
    measured = evaluation.settings if evaluation else _node(config, "evaluation")
    measurement = Measurement(
        data=result.data["name"],
        fingerprint=result.data["fingerprint"]["all"],
        binarize=str(_node(config, "data").get("binarize", "none")),
        metrics_version=evaluation.metrics_version if evaluation else result.metrics_version,
        samples=measured.get("samples") if samples else None,
        mode_samples=int(max(mode_counts)) if mode_counts else None,
    )
    extra = validate(f"{path}: extra_metrics", result.extra_metrics, list[Metric])
    extra += evaluation.extra_metrics if evaluation else []
    return Record(path, result, config, metrics | _costs(result), measurement, extra)


def read_evaluation(path: Path) -> EvaluationFile | None:
    """Return the content of evaluation.json; None if the run was not evaluated.

    Raises:
        UserError: If the file is damaged or has another schema version.
    """
    return read_json(path, EvaluationFile) if path.exists() else None


def _merged(result: Result, asked: Mapping[str, Any], evaluation: EvaluationFile | None) -> dict[str, float]:
    """Return the metrics of the evaluation, and those of the run that were measured in the same way."""
    if evaluation is None:
        return dict(result.metrics)
    if evaluation.metrics_version != result.metrics_version:
        return dict(evaluation.metrics)
    alike = all(evaluation.settings.get(key) == asked.get(key) for key in ("samples", "mode_samples"))
    own = {name: value for name, value in result.metrics.items() if alike or not name.startswith(SAMPLED)}
    return own | evaluation.metrics


def _node(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    node = config.get(name)
    return node if isinstance(node, dict) else {}


def _costs(result: Result) -> dict[str, float]:
    costs = {"parameters": float(result.model["parameters"])}
    costs |= {f"train/{name}": float(value) for name, value in result.train.items()}
    return costs | {f"seconds/{stage}": float(value) for stage, value in result.seconds.items()}


def read_curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves of a metrics.csv: by name, `(step, value)` in the order of the steps.

    Rows that an interrupted run left incomplete are skipped. Without the file there are no curves.
    """
    if not path.is_file():
        return {}
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.reader(file):
            try:
                step, name, value = row
                curves[name].append((int(step), float(value)))
            except ValueError:
                continue
    return {name: sorted(points) for name, points in curves.items()}
