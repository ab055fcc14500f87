"""The runs in folders of sweeps and runs: finished ones with the small files of their folders, and unfinished ones.

The metrics of evaluation.json replace those of result.json with the same names.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from aevq.config.checks import settings, validate
from aevq.errors import UserError
from aevq.metrics.catalogue import Metric, of_section
from aevq.priors.sampling import VARIANT
from aevq.runs.folder import CONFIG_FILE, RESULT_FILE, SWEEP_FILE, is_run, read_config, read_json
from aevq.runs.metrics_file import read_metrics
from aevq.runs.result import PriorSummary, Result, prior_costs, read_result
from aevq.runs.sweep_record import SweepJob, read_sweep

FINISHED = "finished"
SAMPLED = ("samples/", "real/")  # metrics that depend on the number of samples
BOUNDS = re.compile("likelihood/(.*_)?(nll|importance_samples|images)")


@dataclass(frozen=True)
class Measurement:
    """How the metrics of a run were measured; metrics that were measured differently are not comparable."""

    data: str  # name of the data set
    fingerprint: str  # SHA-256 of images and labels of all splits
    binarize: str  # how pixels were made binary; `none` for grey ones
    split: str  # `test`, or `val`
    metrics_version: str | None  # of the protocol; None if the run does not say
    samples: int | None  # per prior; None if none were measured
    mode_samples: int | None  # that modes were counted on; None if none were counted
    importance_samples: int | None  # S of the bound of the NLL; None if there is no such bound
    prior_importance_samples: int | None  # the same of the bounds under fitted priors
    likelihood_images: int | None  # that these bounds are the mean of


@dataclass(frozen=True)
class Record:
    """A finished run."""

    path: Path
    result: Result
    config: dict[str, Any]
    metrics: dict[str, float]  # with parameters and costs
    measurement: Measurement
    extra_metrics: list[Metric]  # catalogue entries of its metrics from outside the package
    evaluated_priors: dict[str, dict[str, Any]] = field(default_factory=dict)  # configurations of priors not its own

    def image(self, name: str) -> Path | None:
        """Return the path of `images/<name>.png`; None if it does not exist."""
        path = self.path / "images" / f"{name}.png"
        return path if path.is_file() else None


@dataclass(frozen=True)
class Unfinished:
    """A job or run without metrics."""

    name: str  # of its folder, or its overrides if it has none
    status: str  # failed, interrupted, running or waiting
    error: str | None
    overrides: str
    log: str | None = None  # relative to the sweep's folder


@dataclass
class Collection:
    """The runs that were found."""

    finished: list[Record] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)  # command lines of the sweeps


class EvaluatedPrior(PriorSummary):
    """A prior that an evaluation has fitted or found, with its configuration."""

    config: dict[str, Any]


@settings
class EvaluationFile:
    """The content of evaluation.json that later commands read."""

    schema_version: Literal[1]
    metrics_version: str  # of the protocol
    weights: str  # SHA-256 of the checkpoint that was measured
    settings: dict[str, Any]
    metrics: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)  # wall time of each part, by name
    extra_metrics: list[Metric] = field(default_factory=list)  # catalogue entries, of metrics from outside the package
    priors: dict[str, EvaluatedPrior] = field(default_factory=dict)  # by name
    costs: dict[str, float] = field(default_factory=dict)  # of sampling, by the names of the catalogue
    device: str = ""  # that measured


def collect(folders: Iterable[Path]) -> Collection:
    """Return all runs in folders of sweeps and runs; a run that is found twice counts once.

    Raises:
        UserError: If a file of a run is damaged, or there is no run at all.
    """
    found, seen = Collection(), set[Path]()
    for folder in folders:
        for path, job in [(folder, None)] if is_run(folder) else _jobs(folder, found.commands):
            if path is None or path.resolve() not in seen:
                _add(found, path, job)
            if path is not None:
                seen.add(path.resolve())
    if not found.finished and not found.unfinished:
        raise UserError("compare: there is no run in the folders given")
    return found


def _jobs(folder: Path, commands: list[str]) -> Iterator[tuple[Path | None, SweepJob | None]]:
    """Yield the run folder and the record of each job of a sweep; of a sweep without a record, every run folder."""
    if not (folder / SWEEP_FILE).exists():
        paths = [path.parent for path in folder.glob(f"*/{RESULT_FILE}")]
        for path in sorted(paths, key=lambda path: (len(path.name.partition("_")[0]), path)):  # `2_ae` before `10_ae`
            yield path, None
        return
    sweep = read_sweep(folder)
    commands.append(sweep.command)
    for job in sweep.jobs:
        yield (folder / job.folder if job.folder else None), job


def _add(found: Collection, path: Path | None, job: SweepJob | None) -> None:
    """Add a run; it is finished only if both its sweep and its own result.json say so."""
    status, error, overrides, log = FINISHED, None, "", None
    if job is not None:
        status, error, overrides, log = job.status, job.error, " ".join(job.overrides), job.log
    name = path.name if path else overrides
    if path and is_run(path):
        result = read_result(path / RESULT_FILE)
        if status == result.status == FINISHED:
            found.finished.append(read_record(path))
            return
        status = status if status != FINISHED else result.status
        error, overrides = error or result.error, overrides or result.command
    found.unfinished.append(Unfinished(name, status, error, overrides, log))


def read_record(path: Path) -> Record:
    """Return the finished run in a folder.

    Raises:
        UserError: If a file of it is damaged or has another schema version.
    """
    result = read_result(path / RESULT_FILE)
    config = read_config(path / CONFIG_FILE)
    data, asked = ({} if not isinstance(node := config.get(name), dict) else node for name in ("data", "evaluation"))
    evaluation = read_evaluation(path / "evaluation.json")
    if evaluation and result.weights not in (None, evaluation.weights):
        raise UserError(f"{path}: its evaluation is of other weights; run python -m aevq.evaluate run={path} again")
    metrics = _merged(result, asked, evaluation)
    sampled = any(name.startswith("samples/") for name in metrics)

    def count(pattern: str) -> int | None:
        """Return a number of images or samples that a metric states; the largest if several priors state it."""
        return int(max(counts)) if (counts := [metrics[name] for name in metrics if fnmatch(name, pattern)]) else None

    measurement = Measurement(
        data=result.data["name"],
        fingerprint=result.data["fingerprint"]["all"],
        binarize=str(data.get("binarize", "none")),
        metrics_version=evaluation.metrics_version if evaluation else result.metrics_version,
        split=evaluation.settings.get("split", "test") if evaluation else asked.get("split", "test"),
        samples=_samples(evaluation.settings if evaluation else asked, result) if sampled else None,
        mode_samples=count("samples/*/mode_samples"),
        importance_samples=count("likelihood/importance_samples"),
        prior_importance_samples=count("likelihood/prior_importance_samples"),
        likelihood_images=count("likelihood/images"),
    )
    metrics |= result.all_costs
    if evaluation:
        metrics |= prior_costs(evaluation.priors) | evaluation.costs
    extra = validate(f"{path}: extra_metrics", result.extra_metrics, list[Metric])
    extra += evaluation.extra_metrics if evaluation else []
    own = config.get("prior") or {}
    others = {
        name: prior["config"] for name, prior in (evaluation.priors if evaluation else {}).items() if name not in own
    }
    return Record(path, result, config, metrics, measurement, extra, others)


def _samples(settings: Mapping[str, Any], result: Result) -> int | None:
    """Return how many samples of each prior were compared: at most as many as the split has images."""
    asked, images = settings.get("samples"), result.data["sizes"].get(settings.get("split", "test"))
    return min(asked, images) if asked and images else asked


def _merged(result: Result, asked: Mapping[str, Any], evaluation: EvaluationFile | None) -> dict[str, float]:
    """Return the metrics of the evaluation, and those of the run that were measured in the same way."""
    if evaluation is None:
        return dict(result.metrics)
    split = evaluation.settings.get("split", "test")
    if evaluation.metrics_version != result.metrics_version or split != asked.get("split", "test"):
        return dict(evaluation.metrics)
    alike = _samples(evaluation.settings, result) == _samples(asked, result)
    alike &= evaluation.settings.get("mode_samples") == asked.get("mode_samples")
    own = {name: value for name, value in result.metrics.items() if alike or not name.startswith(SAMPLED)}
    return joined(own, evaluation.metrics)


def joined(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of two evaluations, the later ones first; bounds on other images or samples are left out."""
    stated = ("likelihood/images", "likelihood/prior_importance_samples")
    changed = any(name in before and name in now and before[name] != now[name] for name in stated)
    kept = {name: value for name, value in before.items() if not (changed and BOUNDS.fullmatch(name))}
    return kept | dict(now)


def read_evaluation(path: Path) -> EvaluationFile | None:
    """Return the content of evaluation.json; None if the run was not evaluated.

    Raises:
        UserError: If the file is damaged or has another schema version.
    """
    return read_json(path, EvaluationFile) if path.exists() else None


def read_curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves of a metrics.csv: by name, `(step, value)` in the order of the steps."""
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for step, name, value in read_metrics(path):
        if math.isfinite(value):
            curves[name].append((step, value))
    return {name: sorted(points) for name, points in curves.items()}


def sampled_priors(metrics: Iterable[str]) -> list[str]:
    """Return the priors whose samples were measured, without those that are sampled with other options."""
    names = dict.fromkeys(name.split("/")[1] for name in metrics if name.startswith("samples/"))
    return [name for name in names if VARIANT not in name]


def comparison_rows(run: Record) -> list[dict[str, str | int | float | None]]:
    """Return a row by column for each prior of a finished run, or one row if there is none; None for missing values.

    The rate is the number of bits that an image's latent takes by the prior of the row: KL(q(z|x) ‖ N(0, I)) for a
    posterior, the code length for codes.
    """
    result, get = run.result, run.metrics.get
    return [
        {
            "run": run.path.name,
            "model": result.model["name"],
            "data": result.data["name"],
            "seed": result.seed,
            "prior": prior or None,
            **{metric.name: get(metric.name) for metric in of_section("Reconstruction", headline=True)},
            "rate_bits": get("rate/kl_bits" if prior == "standard_normal" else f"rate/{prior}_bits"),
            **{f"samples/{m.short}": get(m.name_for(prior=prior)) for m in of_section("Samples", headline=True)},
            "parameters": result.model["parameters"],
            **{name: result.train.get(name) for name in ("seconds", "images_per_second")},
        }
        for prior in sampled_priors(run.metrics) or [""]
    ]
