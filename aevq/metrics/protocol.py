"""The evaluation protocol: which metrics are measured of a model and its priors, in which order, and at what cost.

A metric that a model does not have is absent: an AE has no likelihood and no rate, vectors have no codebook.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator
from rich.console import Console
from rich.progress import Progress

from aevq.config.checks import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
    Seed,
    settings,
)
from aevq.errors import UserError, optional
from aevq.metrics.catalogue import Metric, find
from aevq.metrics.latents import active_units, anomaly, codebook, probes
from aevq.metrics.likelihood import likelihood, loss_terms, prior_likelihood, prior_nats, rate
from aevq.metrics.reconstruction import frechet, pca, reconstruction
from aevq.metrics.samples import real, samples
from aevq.metrics.subject import Measure, Subject
from aevq.nn.distributed import global_rank
from aevq.nn.feature_net import feature_net_sha256
from aevq.ops.precision import without_tf32
from aevq.priors.sampling import offered_options

log = logging.getLogger("aevq")

PROTOCOL = 2  # raised whenever a metric of the same name would come out differently
FEWEST_SAMPLES = 10

PARTS: dict[str, Callable[[Subject], dict[str, float]]] = {
    "reconstruction": reconstruction,
    "reconstruction in features": frechet,
    "pca": pca,
    "loss terms": loss_terms,
    "codebook": codebook,
    "latents": active_units,
    "rate": rate,
    "likelihood": likelihood,
    "priors": prior_nats,
    "likelihood by priors": prior_likelihood,
    "anomaly": anomaly,
}


def metrics_version() -> str:
    """Return the version of this protocol and of the feature net; metrics of two versions are not comparable."""
    return f"{PROTOCOL}-{feature_net_sha256()[:8]}"


def _none_or_some(value: int) -> int:
    if 0 < value < FEWEST_SAMPLES:
        raise ValueError(f"should be 0 or at least {FEWEST_SAMPLES}")
    return value


def _new_metrics(extra: dict[str, Measure]) -> dict[str, Measure]:
    for name, measure in extra.items():
        for metric in measure.metrics:
            if find(metric.name) is not None:
                raise ValueError(f"{name} measures {metric.name}, which is already a metric of aevq")
    return extra


@settings
class EvaluationSettings:
    """How much to measure. The defaults are the whole protocol.

    Attributes:
        split: `test`, or `val` while something is still being chosen.
        samples: Samples per prior, at most as many as the split has images, compared with as many of these; 0: none.
        importance_samples: S of the importance-weighted bound of a VAE on binary images; 0: no bound.
        prior_importance_samples: S of the bounds under the priors that are fitted to such a VAE's latents; 0: none.
        likelihood_images: Images of the split that the bounds are computed on, at most.
        memorisation: Whether to search each sample's nearest train image.
        probes: Whether to train classifiers on the latents.
        label_accuracy: Whether to train a classifier on pixels and measure if conditional samples show their label.
        seed: Seed of samples and noise.
        temperature: Temperatures at which every prior that offers one is sampled once more, for example [0.8,0.9].
        top_p: The same for top-p, for example [0.9].
        guidance: The same for strengths of guidance, of conditional priors.
        mode_samples: Samples of stacked digits to count modes on, at most as many as the split has images; 0: none.
        extra: Metrics from outside the package, by any name: see `aevq.metrics.subject.Measure`.
    """

    split: Literal["val", "test"] = "test"
    samples: Annotated[NonNegativeInt, AfterValidator(_none_or_some)] = 10_000
    importance_samples: NonNegativeInt = 5000
    prior_importance_samples: NonNegativeInt = 100
    likelihood_images: PositiveInt = 10_000
    memorisation: bool = True
    probes: bool = True
    label_accuracy: bool = True
    seed: Seed = 0
    temperature: list[PositiveFloat] = field(default_factory=list)
    top_p: list[PositiveFraction] = field(default_factory=list)
    guidance: list[NonNegativeFloat] = field(default_factory=list)
    mode_samples: NonNegativeInt = 26_000
    extra: Annotated[dict[str, Measure], AfterValidator(_new_metrics)] = field(default_factory=dict)

    @property
    def sample_options(self) -> dict[str, list[float]]:
        """The values with which priors are sampled once more, by the name of the option."""
        return {"temperature": self.temperature, "top_p": self.top_p, "guidance": self.guidance}

    @property
    def extra_metrics(self) -> tuple[Metric, ...]:
        """The catalogue entries of `extra`."""
        return tuple(metric for measure in self.extra.values() for metric in measure.metrics)


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        metrics: By name; the same again on the same machine.
        costs: Wall times, by the names of the catalogue's section "Cost".
        seconds: That each part of the protocol took, by its name.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@without_tf32()
def run_protocol(subject: Subject) -> Evaluation:
    """Measure part by part, with a progress bar on a terminal; a part that fails is left out with one warning."""
    evaluation, parts = Evaluation(), _parts(subject)
    with Progress(console=Console(stderr=True), transient=True, disable=global_rank() > 0) as progress:
        task = progress.add_task("", total=len(parts))
        for name, measure in parts.items():
            progress.update(task, description=name)
            start, metrics = time.perf_counter(), {}
            with optional(f"metrics: {name}"):
                metrics = _finite(measure(subject))
            progress.advance(task)
            if metrics:
                for metric, value in metrics.items():
                    (evaluation.costs if _is_cost(metric) else evaluation.metrics)[metric] = value
                evaluation.seconds[name] = round(time.perf_counter() - start, 3)
    return evaluation


def _is_cost(name: str) -> bool:
    metric = find(name)
    return metric is not None and metric.section == "Cost"


def _parts(subject: Subject) -> dict[str, Callable[[Subject], dict[str, float]]]:
    """Return what the settings ask for, in order; no part depends on the results of another."""
    parts, settings = dict(PARTS), subject.settings
    if settings.samples and not subject.in_features:
        log.info(
            "samples of %s are not measured: the feature network was trained on digits of MNIST", subject.data.name
        )
    if subject.in_features:
        parts["real"] = real
        parts |= {f"samples {name}": partial(samples, prior=name) for name in subject.priors}
        offered = {option for prior in subject.priors.values() for option in offered_options(prior)}
        for option, values in settings.sample_options.items():
            if values and option not in offered:
                log.warning("%s: ignored, no prior of %s has this option", option, ", ".join(subject.priors))
    if settings.probes and subject.latents is not None:
        parts["probes"] = partial(probes, latents=subject.latents)
    return parts | {name: partial(_measure, name, measure) for name, measure in settings.extra.items()}


def _measure(name: str, measure: Measure, subject: Subject) -> dict[str, float]:
    """Return what a metric from outside the package measures; a UserError if its own entries do not describe it."""
    metrics = measure(subject)
    for metric in metrics:
        if find(metric) is not None or not any(entry.match(metric) for entry in measure.metrics):
            raise UserError(f"evaluation.extra.{name}: returned {metric!r}, which its `metrics` do not describe")
    return metrics


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics that are finite, and warn of the others."""
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    for name in metrics:
        if name not in finite:
            log.warning("%s is %s: left out", name, metrics[name])
    return finite
