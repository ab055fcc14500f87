"""What is measured: a model with its priors and data. And the base class of metrics from outside the package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from aevq.config.checks import Configurable
from aevq.data import ImageDataModule, mix, some_rows
from aevq.latents import CodeSpec, LatentSet, LatentSpec
from aevq.metrics.catalogue import Metric
from aevq.metrics.generate import CHUNK, draw_all, encode_all, features_of, reconstruct_all
from aevq.metrics.labels import fit_pixel_classifier
from aevq.models import LatentModel, VariationalModel
from aevq.nn.contexts import seeded
from aevq.nn.feature_net import FeatureNet, load_feature_net
from aevq.nn.memory import by_chunks
from aevq.ops.distance import Moments, moments
from aevq.ops.manifold import nearest_distance
from aevq.priors import Prior, code_length, has_density

if TYPE_CHECKING:
    from aevq.metrics.protocol import EvaluationSettings

DRAWS, LABELS = 1, 2  # random numbers of different use come from different seeds


@dataclass(frozen=True)
class Reference:
    """The real images that samples are compared with.

    Attributes:
        test: Features of the test images, `(N, C·128)`.
        train: Features of as many train images.
        all_train: Features of every train image, `(T, C·128)`; None if memorisation is not measured.
        test_labels: Classes of the test images, int64 `(N,)`; None if samples have no classes to compare.
        train_labels: Classes of `train`, likewise.
    """

    test: Tensor
    train: Tensor
    all_train: Tensor | None
    test_labels: Tensor | None = None
    train_labels: Tensor | None = None

    @cached_property
    def test_moments(self) -> Moments:
        """The moments of `test`."""
        return moments(self.test)

    @cached_property
    def test_to_train(self) -> float:
        """The median distance of a test image to its nearest train image."""
        return float(nearest_distance(self.test, self.all_train).median()) if self.all_train is not None else 0.0


class Subject:
    """A model on one split of its data. What several metrics need is computed when first used, and kept.

    Args:
        model: The model, in eval mode.
        priors: Fitted priors, by name.
        data: What the model was trained on, prepared.
        latents: Latents of the train and validation splits, as the priors were fitted to them; None without probes.
        settings: How much to measure.

    Attributes:
        x: The images of the split, `(N, C, H, W)` in [0, 1], on the CPU.
        labels: Their classes, int64 `(N,)`.
    """

    def __init__(
        self,
        model: LatentModel,
        priors: dict[str, Prior],
        data: ImageDataModule,
        latents: LatentSet | None,
        settings: EvaluationSettings,
    ) -> None:
        self.model, self.priors, self.data = model, priors, data
        self.latents, self.settings = latents, settings
        self.x, self.labels = data.images(settings.split), data.labels(settings.split)

    @property
    def spec(self) -> LatentSpec:
        """What the latents are."""
        return self.model.latent_spec

    @property
    def in_features(self) -> bool:
        """Whether images are compared in features: samples are wanted, and the feature net knows such images."""
        return self.settings.samples > 0 and self.data.mnist_digits and self.x.shape[2:] == (28, 28)

    @property
    def num_samples(self) -> int:
        """Samples to compare with as many real images: the metrics of sets of two sizes are biased differently."""
        return min(self.settings.samples, len(self.x))

    @property
    def num_mode_samples(self) -> int:
        """Samples, and real images, to count modes on; 0 for single digits. The KL of fewer would be biased more."""
        return min(self.settings.mode_samples, len(self.x)) if self.x.shape[1] > 1 else 0

    @cached_property
    def z(self) -> Tensor:
        """The latents, `(N, *spec.shape)`."""
        return encode_all(self.model, self.x)

    @cached_property
    def drawn(self) -> Tensor:
        """A draw z ~ q(z|x) for each image, `(N, *spec.shape)`; of a deterministic model its latents."""
        if not isinstance(self.model, VariationalModel):
            return self.z
        return draw_all(self.model, self.x, mix(self.settings.seed, DRAWS))

    @cached_property
    def x_hat(self) -> Tensor:
        """The reconstructions, `(N, C, H, W)` in [0, 1]."""
        return reconstruct_all(self.model, self.x)

    @cached_property
    def loss_terms(self) -> dict[str, Tensor]:
        """The loss terms of each image by name, `(N,)`, in nats; `settings.seed` is that of a VAE's z."""
        names: list[str] = []

        def table(x: Tensor) -> Tensor:
            terms = self.model.loss_terms(x.to(self.model.device)).by_name()
            names[:] = terms
            return torch.stack(list(terms.values()), 1)

        with torch.no_grad(), seeded(self.settings.seed):
            columns = by_chunks(table, self.x, CHUNK).unbind(1)
        return dict(zip(names, columns, strict=True))

    @cached_property
    def densities(self) -> dict[str, Prior]:
        """The priors that have a density."""
        with torch.no_grad():
            return {name: prior for name, prior in self.priors.items() if has_density(prior, self.z[:1])}

    @cached_property
    def prior_nats(self) -> dict[str, Tensor]:
        """−log p(z) of each image's latent by each prior with a density, `(N,)`, in nats.

        The latents are means or draws of q(z|x), as the prior was fitted to them.
        """
        with torch.no_grad():
            return {
                name: code_length(prior, self.drawn if prior.fit_to == "draw" else self.z, self.labels)
                for name, prior in self.densities.items()
            }

    @property
    def code_lengths(self) -> dict[str, Tensor]:
        """`prior_nats` where the latents are codes; empty if they are vectors."""
        return self.prior_nats if isinstance(self.spec, CodeSpec) else {}

    def sample_labels(self, n: int) -> Tensor:
        """Return `n` classes for conditional samples, int64 `(n,)`, drawn with the frequencies of the train split."""
        labels, generator = self.data.labels("train"), torch.Generator().manual_seed(mix(self.settings.seed, LABELS))
        return labels[torch.randint(len(labels), (n,), generator=generator)]

    @property
    def conditional(self) -> bool:
        """Whether a prior is conditional, and the images have one channel: stacks have too many classes."""
        return self.x.shape[1] == 1 and any(prior.num_classes is not None for prior in self.priors.values())

    @cached_property
    def classifier(self) -> Any | None:
        """A classifier of pixels for the class of conditional samples; None if label accuracy is not measured."""
        if not (self.settings.label_accuracy and self.conditional):
            return None
        return fit_pixel_classifier(self.data.images("train"), self.data.labels("train"))

    @cached_property
    def feature_net(self) -> FeatureNet:
        """The network that distances between sets of images are computed in."""
        return load_feature_net().to(self.model.device)

    @cached_property
    def features(self) -> Tensor:
        """Features of the images of the split, `(N, F)`."""
        return features_of(self.feature_net, self.x)

    @cached_property
    def reference(self) -> Reference:
        """Features of the real images that samples are compared with."""
        chosen, train = some_rows(self.settings.samples, len(self.x)), self.data.images("train")
        rows = some_rows(len(chosen), len(train))
        labels = (self.labels[chosen], self.data.labels("train")[rows]) if self.conditional else (None, None)
        if not self.settings.memorisation:
            return Reference(self.features[chosen], features_of(self.feature_net, train[rows]), None, *labels)
        all_train = features_of(self.feature_net, train)
        return Reference(self.features[chosen], all_train[rows], all_train, *labels)


class Measure(Configurable, ABC):
    """A metric, or several, from outside the package: one Python file and no yaml.

        class Roughness(Measure):
            metrics = (Metric("reconstruction/roughness", "roughness", "mean absolute Laplacian", "lower"),)

            def __call__(self, subject):
                return {"reconstruction/roughness": roughness(subject.x_hat)}

        python -m aevq.train +evaluation.extra.roughness._target_=mypackage.roughness.Roughness

    Arguments of the constructor, if there are any, are further keys of `evaluation.extra.roughness`.

    Attributes:
        metrics: What it measures. A run keeps these entries, and the report shows their titles, units and directions.
    """

    metrics: ClassVar[tuple[Metric, ...]]

    @abstractmethod
    def __call__(self, subject: Subject) -> dict[str, float]:
        """Return the metrics by name. Under DDP every process calls it."""
