"""The whole protocol on one model and its priors: named figures, each with what it cost.

A figure that a model does not have is absent: an AE has no likelihood and no rate, vectors have no codebook.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from annotated_types import Ge
from rich.console import Console
from rich.progress import Progress

from aevq.config.schema import Count, Says, Seed, Whole, checked
from aevq.data import some_rows
from aevq.latents import CodeSpec, VectorSpec
from aevq.metrics import (
    Reference,
    anomaly_metrics,
    codebook_metrics,
    features_of,
    image_terms,
    mean_terms,
    mode_metrics,
    pca_mse,
    probe_metrics,
    reconstruction_metrics,
    sample_metrics,
)
from aevq.metrics.generate import encode_all, generate, reconstruct_all
from aevq.models import VariationalModel
from aevq.nn.distributed import global_rank
from aevq.nn.feature_net import FeatureNet, feature_net_sha256, load_feature_net
from aevq.nn.likelihood import Bernoulli
from aevq.nn.memory import by_chunks
from aevq.ops.distance import frechet_distance, moments
from aevq.ops.image import gradient_energy, is_binary
from aevq.ops.units import nats_to_bits
from aevq.priors import Uniform, code_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from aevq.data import MNISTDataModule
    from aevq.latents import LatentSet
    from aevq.models import LatentModel
    from aevq.priors import Prior

__all__ = ["Evaluation", "EvaluationSettings", "Evaluator", "metrics_version"]

log = logging.getLogger("aevq")

Figures = dict[str, float]

CHUNK = 500
PROTOCOL = 2  # raised whenever a figure of the same name would come out differently


def metrics_version() -> str:
    """What figures depend on besides the run: this protocol and the feature net. Others are not comparable."""
    return f"{PROTOCOL}-{feature_net_sha256()[:8]}"


NoneOrSome = Annotated[Literal[0] | Annotated[int, Ge(10)], Says("0, or at least 10")]


@checked("")
@dataclass(frozen=True)
class EvaluationSettings:
    """How much to measure.

    Attributes:
        split: `test`, or `val` while something is still being chosen.
        samples: Samples a prior, at most as many as the split has images, and held against as many; 0 leaves them out.
        importance_samples: S of the importance-weighted bound; 0 leaves it out.
        likelihood_images: Images of the split that the bound is computed on, at most.
        memorisation: Whether to look for each sample's nearest train image.
        probes: Whether to train classifiers on the latents.
        seed: Of samples and noise.
        mode_samples: Of stacked digits, samples that the modes are counted on, at most as many as the split has images;
            0 counts none.
    """

    split: Annotated[Literal["val", "test"], Says("val or test")]
    samples: NoneOrSome
    importance_samples: Whole
    likelihood_images: Count
    memorisation: bool
    probes: bool
    seed: Seed
    mode_samples: Whole = 26_000  # run folders older than it have none


@dataclass
class Evaluation:
    """Figures by name, and the seconds that each part took."""

    metrics: Figures = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Evaluator:
    """Measures one model.

    Args:
        model: In eval mode.
        priors: Fitted, by name.
        data: Prepared; what the model was trained on.
        latents: Of the train and validation splits, as the priors saw them; None where there are no probes.
        settings: How much to measure.
    """

    def __init__(
        self,
        model: LatentModel,
        priors: dict[str, Prior],
        data: MNISTDataModule,
        latents: LatentSet | None,
        settings: EvaluationSettings,
    ) -> None:
        self.model, self.priors, self.data = model, priors, data
        self.latents, self.settings = latents, settings
        self.x, self.labels = data.images(settings.split), data.labels(settings.split)

    def parts(self) -> dict[str, Callable[[], Figures]]:
        """What will be measured, by name, in order; each part knows nothing of the others' results."""
        parts: dict[str, Callable[[], Figures]] = {
            "reconstruction": self._reconstruction,
            "loss terms": lambda: mean_terms(self._terms),
            "codebook": lambda: codebook_metrics(self.model.latent_spec, self._z),
            "latents": self._latents,
            "rate": self._rate,
            "likelihood": self._likelihood,
            "anomaly": self._anomaly,
        }
        if self.settings.samples:
            parts["floor"] = self._floor
            parts |= {f"samples {name}": partial(self._samples, name) for name in self.priors}
        if self.settings.probes and self.latents is not None:
            parts["probes"] = partial(self._probes, self.latents)
        return parts

    def run(self) -> Evaluation:
        """Measure part by part, with a progress bar on a terminal."""
        evaluation, parts = Evaluation(), self.parts()
        with Progress(console=Console(stderr=True), transient=True, disable=global_rank() > 0) as progress:
            task = progress.add_task("", total=len(parts))
            for name, measure in parts.items():
                progress.update(task, description=name)
                start = time.perf_counter()
                figures = _finite(measure())
                progress.advance(task)
                if figures:
                    evaluation.metrics |= figures
                    evaluation.seconds[name] = round(time.perf_counter() - start, 3)
        return evaluation

    @cached_property
    def _z(self) -> Tensor:
        return encode_all(self.model, self.x)

    @cached_property
    def _terms(self) -> dict[str, Tensor]:
        """Loss terms of each image of the split."""
        return image_terms(
            lambda x: self.model.loss_terms(x.to(self.model.device)).by_name(), self.x, self.settings.seed
        )

    @cached_property
    def _x_hat(self) -> Tensor:
        return reconstruct_all(self.model, self.x)

    @cached_property
    def _net(self) -> FeatureNet:
        return load_feature_net().to(self.model.device)

    @cached_property
    def _features(self) -> Tensor:
        """Of the images of the split."""
        return features_of(self._net, self.x)

    @property
    def _mode_samples(self) -> int:
        """Images that modes are counted on, samples and real ones: the KL of fewer would be biased more."""
        return min(self.settings.mode_samples, len(self.x)) if self.x.shape[1] > 1 else 0

    @cached_property
    def _reference(self) -> Reference:
        test, train = self._features[some_rows(self.settings.samples, len(self.x))], self.data.images("train")
        rows = some_rows(len(test), len(train))
        if not self.settings.memorisation:
            return Reference(test, features_of(self._net, train[rows]), None)
        all_train = features_of(self._net, train)
        return Reference(test, all_train[rows], all_train)

    def _reconstruction(self) -> Figures:
        figures = reconstruction_metrics(self.x, self._x_hat)
        if self.settings.samples:
            a, b = moments(self._features), moments(features_of(self._net, self._x_hat))
            figures["reconstruction/fd"] = frechet_distance(a, b)
        sharpness = gradient_energy(self._x_hat).mean() / gradient_energy(self.x).mean()
        figures["reconstruction/sharpness"] = float(sharpness)
        if isinstance(self.model.latent_spec, VectorSpec):
            figures["pca/mse"] = pca_mse(self.data.images("train"), self.x, self.model.latent_spec.dim)
        return figures

    @torch.inference_mode()
    def _latents(self) -> Figures:
        """KL of each dimension, and how many are active.

        Active units (Burda et al. 2015): dimensions whose posterior mean varies by more than 0.01 over the data.
        """
        model = self.model
        if not isinstance(model, VariationalModel):
            return {}
        kl = by_chunks(lambda x: model.kl_per_dimension(x.to(self.model.device)), self.x, CHUNK).mean(0)
        active = float((self._z.var(0) > 0.01).sum())
        return {"latent/active_units": active} | {f"latent/kl/{d}": float(nats) for d, nats in enumerate(kl)}

    def _rate(self) -> Figures:
        """Bits to send a latent: of a grid as it is, and by the code length of each prior of codes."""
        spec = self.model.latent_spec
        if not isinstance(spec, CodeSpec):
            return {}
        grid_nats = spec.height * spec.width * float(torch.tensor(spec.num_codes).log())
        lengths = {f"rate/{name}_bits": nats_to_bits(float(nats.mean())) for name, nats in self._code_nats.items()}
        return {"rate/grid_bits": nats_to_bits(grid_nats), **lengths}

    @cached_property
    def _code_nats(self) -> dict[str, Tensor]:
        """−log p(z) of each image's grid by each prior of codes: `(N,)`, nats."""
        if not isinstance(self.model.latent_spec, CodeSpec):
            return {}
        with torch.inference_mode():
            return {name: code_length(prior, self._z, self.labels) for name, prior in self.priors.items()}

    def _likelihood(self) -> Figures:
        """Bounds of −log p(x), nats: only where p(x|z) is a normalised distribution of the images, binary ones."""
        if not (isinstance(self.model.likelihood, Bernoulli) and is_binary(self.x)):
            return {}
        distortion = self._terms["distortion"].double()
        if isinstance(self.model, VariationalModel):
            elbo = -float((distortion + self._terms["kl"]).mean())
            return {"likelihood/elbo": elbo, **self._importance_nll(self.model)}
        # −log p(z*) − log p(x|z*) with z* = e(x)
        bounds = {name: float((distortion + nats).mean()) for name, nats in self._code_nats.items()}
        return {f"likelihood/{name}_nll_bound": bound for name, bound in bounds.items()}

    def _importance_nll(self, model: VariationalModel) -> Figures:
        samples = self.settings.importance_samples
        if samples == 0:
            return {}
        generator = torch.Generator(self.model.device).manual_seed(self.settings.seed)
        x = self.x[some_rows(self.settings.likelihood_images, len(self.x))].to(self.model.device)
        nll = by_chunks(lambda chunk: model.importance_nll(chunk, samples, generator), x, 20)
        return {"likelihood/nll": float(nll.double().mean()), "likelihood/importance_samples": float(samples)}

    def _anomaly(self) -> Figures:
        """How well an image of the digit that was left out of training stands out."""
        if self.data.leave_out is None or self.settings.split != "test":  # the other splits go without it
            return {}
        scores = {"reconstruction_error": (self._x_hat - self.x).square().mean((1, 2, 3))}
        if "kl" in self._terms:
            scores["elbo"] = self._terms["distortion"] + self._terms["kl"]
        for name, nats in self._code_nats.items():
            if type(self.priors[name]) is not Uniform:  # to which all codes are alike
                scores[f"{name}_code_length"] = nats
        return anomaly_metrics(scores, self.labels == self.data.leave_out)

    def _floor(self) -> Figures:
        """What a perfect sampler would reach: other real images in place of samples, and the modes of this split's."""
        count = self._mode_samples
        modes = mode_metrics(self._features[:count], self._net) if count else {}
        return self._reference.floor() | {f"floor/{figure}": value for figure, value in modes.items()}

    def _samples(self, name: str) -> Figures:
        n = min(self.settings.samples, len(self.x))  # sets of two sizes would be biased differently
        images = generate(self.model, self.priors[name], max(n, self._mode_samples), self.settings.seed)
        return sample_metrics(name, images, self._net, self._reference, self._mode_samples)

    def _probes(self, latents: LatentSet) -> Figures:
        train, y = self.data.images("train").flatten(1), self.data.digits("train")
        digits = self.data.digits(self.settings.split)
        with torch.inference_mode():
            embedded = [self.model.embed(z.to(self.model.device)).cpu() for z in (latents.train, self._z)]
        return {
            **probe_metrics("latent", embedded[0], y, embedded[1], digits),
            **probe_metrics("pixels", train, y, self.x.flatten(1), digits),
        }


def _finite(figures: Figures) -> Figures:
    """Figures that are numbers; another is left out, and it is said so."""
    for name, value in figures.items():
        if not math.isfinite(value):
            log.warning("%s is %s: left out", name, value)
    return {name: value for name, value in figures.items() if math.isfinite(value)}
