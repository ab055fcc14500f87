"""The whole protocol on one model and its priors: named figures, each with what it cost.

A figure that a model does not have is absent: an AE has no likelihood and no rate, vectors have no codebook.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from aevq.errors import expect, expect_int
from aevq.generate import encode_all, generate, reconstruct_all
from aevq.latents import CodeSpec, VectorSpec
from aevq.metrics import codebook_metrics, reconstruction_metrics
from aevq.metrics.probes import probe_metrics
from aevq.metrics.samples import Reference, features_of, sample_metrics
from aevq.metrics.terms import loss_terms
from aevq.models import VariationalModel
from aevq.nn.feature_net import FeatureNet, load_feature_net
from aevq.nn.likelihood import Bernoulli
from aevq.ops.distance import frechet_distance, moments
from aevq.ops.image import gradient_energy
from aevq.ops.units import nats_to_bits

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from aevq.data import MNISTDataModule
    from aevq.latents import LatentSet
    from aevq.models import LatentModel
    from aevq.priors import Prior

__all__ = ["Evaluation", "EvaluationSettings", "Evaluator"]

Figures = dict[str, float]


@dataclass(frozen=True)
class EvaluationSettings:
    """How much to measure.

    Attributes:
        split: `test`, or `val` while something is still being chosen.
        samples: Samples a prior, held against as many images of the split at most.
        importance_samples: S of the importance-weighted bound; 0 leaves it out.
        likelihood_images: Images of the split that the bound is computed on, at most.
        train_images: Train images among which the nearest of a sample is looked for, at most.
        probes: Whether to train the classifiers on the latents.
        seed: Of samples and noise.
    """

    split: str
    samples: int
    importance_samples: int
    likelihood_images: int
    train_images: int
    probes: bool
    seed: int

    def __post_init__(self) -> None:
        expect(self.split in ("val", "test"), "split", "val or test", self.split)
        expect_int("samples", self.samples, 10)
        expect_int("importance_samples", self.importance_samples, 0)
        expect_int("likelihood_images", self.likelihood_images, 1)
        expect_int("train_images", self.train_images, self.samples)


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
        latents: Of the train and validation splits, as the priors saw them.
        settings: How much to measure.
    """

    def __init__(
        self,
        model: LatentModel,
        priors: dict[str, Prior],
        data: MNISTDataModule,
        latents: LatentSet,
        settings: EvaluationSettings,
    ) -> None:
        self.model, self.priors, self.data = model, priors, data
        self.latents, self.settings = latents, settings
        self.x, self.labels = data.images(settings.split), data.labels(settings.split)
        self.z = encode_all(model, self.x)

    def parts(self) -> dict[str, Callable[[], Figures]]:
        """What will be measured, by name, in order; each part knows nothing of the others' results."""
        parts: dict[str, Callable[[], Figures]] = {
            "reconstruction": self._reconstruction,
            "loss terms": lambda: loss_terms(self._term_means, self.x, self.settings.seed),
            "codebook": lambda: codebook_metrics(self.model.latent_spec, self.z),
            "latents": self._latents,
            "rate": self._rate,
            "likelihood": self._likelihood,
            "floor": lambda: self._reference.floor(),
        }
        for name, prior in self.priors.items():
            parts[f"samples {name}"] = lambda name=name, prior=prior: self._samples(name, prior)  # type: ignore[misc]
        if self.settings.probes:
            parts["probes"] = self._probes
        return parts

    def run(self, on_part: Callable[[str], None]) -> Evaluation:
        """Measure part by part; `on_part` is told the name of each before it starts."""
        evaluation = Evaluation()
        for name, measure in self.parts().items():
            on_part(name)
            start = time.perf_counter()
            figures = measure()
            if figures:
                evaluation.metrics |= figures
                evaluation.seconds[name] = round(time.perf_counter() - start, 3)
        return evaluation

    @property
    def _net(self) -> FeatureNet:
        if not hasattr(self, "_loaded_net"):
            self._loaded_net = load_feature_net().to(self.model.device)
        return self._loaded_net

    @property
    def _reference(self) -> Reference:
        if not hasattr(self, "_made_reference"):
            n = min(self.settings.samples, len(self.x))
            self._made_reference = Reference.of(self._net, self.x[:n], self._train_images())
        return self._made_reference

    def _train_images(self) -> Tensor:
        return self.data.images("train")[: self.settings.train_images]

    def _term_means(self, chunk: Tensor) -> dict[str, Tensor]:
        return self.model.terms(chunk.to(self.model.device)).means()

    def _reconstruction(self) -> Figures:
        x_hat = reconstruct_all(self.model, self.x)
        figures = reconstruction_metrics(self.x, x_hat)
        a, b = (moments(features_of(self._net, images)) for images in (self.x, x_hat))
        figures["reconstruction/fd"] = frechet_distance(a, b)
        sharpness = gradient_energy(x_hat).mean() / gradient_energy(self.x).mean()
        figures["reconstruction/sharpness"] = float(sharpness)
        if isinstance(self.model.latent_spec, VectorSpec):
            figures["pca/mse"] = pca_mse(self.data.images("train"), self.x, self.model.latent_spec.dim)
        return figures

    def _latents(self) -> Figures:
        """Active units (Burda et al. 2015): dimensions whose posterior mean varies by more than 0.01 over the data."""
        if not isinstance(self.model, VariationalModel):
            return {}
        return {"latent/active_units": float((self.z.var(0) > 0.01).sum())}

    def _rate(self) -> Figures:
        """Bits to send a latent: of a grid as it is, and by the code length of each prior of codes."""
        spec = self.model.latent_spec
        if not isinstance(spec, CodeSpec):
            return {}
        figures = {"rate/grid_bits": nats_to_bits(spec.height * spec.width * torch.tensor(spec.num_codes).log().item())}
        for name, prior in self.priors.items():
            figures[f"rate/{name}_bits"] = nats_to_bits(float(self._code_nats(prior).mean()))
        return figures

    @torch.inference_mode()
    def _code_nats(self, prior: Prior) -> Tensor:
        device = next(iter(prior.state_dict().values())).device  # type: ignore[attr-defined]
        return torch.cat([-prior.log_prob(z.to(device)).cpu() for z in self.z.split(500)])

    @torch.inference_mode()
    def _likelihood(self) -> Figures:
        """Bounds of −log p(x), nats: only where p(x|z) is a normalised distribution of the images, binary ones."""
        if not (isinstance(self.model.likelihood, Bernoulli) and is_binary(self.x)):
            return {}
        if isinstance(self.model, VariationalModel):
            return self._importance_bound(self.model)
        return self._code_likelihood()

    def _importance_bound(self, model: VariationalModel) -> Figures:
        figures = {}
        if self.settings.importance_samples:
            generator = torch.Generator(self.model.device).manual_seed(self.settings.seed)
            x = self.x[: self.settings.likelihood_images].to(self.model.device)
            nll = [model.importance_nll(c, self.settings.importance_samples, generator) for c in x.split(20)]
            figures["likelihood/nll"] = float(torch.cat(nll).mean())
        terms = loss_terms(self._term_means, self.x, self.settings.seed)
        return figures | {"likelihood/elbo": -(terms["loss/distortion"] + terms["loss/kl"])}

    def _code_likelihood(self) -> Figures:
        """−log p(z*) − log p(x|z*) with z* = e(x), for each prior of codes."""
        if not isinstance(self.model.latent_spec, CodeSpec):
            return {}
        distortion = loss_terms(self._term_means, self.x)["loss/distortion"]
        return {
            f"likelihood/{name}_nll_bound": distortion + float(self._code_nats(prior).mean())
            for name, prior in self.priors.items()
        }

    def _samples(self, name: str, prior: Prior) -> Figures:
        images = generate(self.model, prior, self.settings.samples, self.settings.seed)
        return sample_metrics(name, images, self._net, self._reference)

    def _probes(self) -> Figures:
        train, y = self.data.images("train").flatten(1), self.data.labels("train")
        with torch.inference_mode():
            embedded = [self.model.embed(z.to(self.model.device)).cpu() for z in (self.latents.train, self.z)]
        return {
            **probe_metrics("latent", embedded[0], y, embedded[1], self.labels),
            **probe_metrics("pixels", train, y, self.x.flatten(1), self.labels),
        }


def is_binary(x: Tensor) -> bool:
    """Whether all pixels are 0 or 1."""
    return bool(((x == 0) | (x == 1)).all())


def pca_mse(train: Tensor, x: Tensor, components: int) -> float:
    """Mean squared error of a PCA with so many components fitted to `train`: the floor that a linear code reaches."""
    flat = train.flatten(1).double()
    mean = flat.mean(0)
    centred = flat - mean
    basis = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -components:]
    residual = x.flatten(1).double() - mean
    return float((residual - residual @ basis @ basis.T).square().mean())
