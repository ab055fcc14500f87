"""How samples compare with real images, in the features of the feature net.

fd             Fréchet distance to the test images (FD-MNIST)
kd             kernel distance to the test images, unbiased
precision, recall, density, coverage        k = 5
class_entropy  entropy of the predicted classes, nats; log 10 = 2.303 is perfectly even
confidence     mean probability of the predicted class
nearest_train  median distance of a sample to its nearest train image, over the same for test images; well under 1
               would be memorisation
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from aevq.memory import halving
from aevq.nn.distributed import map_chunks
from aevq.ops.distance import Moments, frechet_distance, kernel_distance, moments
from aevq.ops.manifold import manifold_scores, nearest_distance

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.nn.feature_net import FeatureNet

__all__ = ["Reference", "features_of", "sample_metrics"]

NEIGHBOUR = 5
KERNEL_SUBSET, KERNEL_SUBSETS = 1000, 50
CHUNK = 250  # images: on a CPU a chunk whose feature maps stay in the cache is three times as fast as one of 1,000


@torch.inference_mode()
def features_of(net: FeatureNet, x: Tensor) -> Tensor:
    """Features of images `(N, 1, 28, 28)` in [0, 1], chunk by chunk: `(N, 128)`, on the CPU."""
    device = next(net.parameters()).device
    return torch.cat(map_chunks(halving(lambda chunk: net.features(chunk.to(device))), x.split(CHUNK)))


@dataclass(frozen=True)
class Reference:
    """The real images that samples are held against.

    Attributes:
        test: Features of the test images, `(N, 128)`.
        train: Features of as many train images.
        all_train: Features of every train image, `(T, 128)`; None where memorisation is not looked for.
    """

    test: Tensor
    train: Tensor
    all_train: Tensor | None

    @classmethod
    def of(cls, net: FeatureNet, test: Tensor, train: Tensor, all_train: Tensor | None = None) -> Reference:
        """From images: `(N, 1, 28, 28)` of the test split, as many of the train split, and all of that."""
        return cls(
            features_of(net, test),
            features_of(net, train),
            features_of(net, all_train) if all_train is not None else None,
        )

    @cached_property
    def test_moments(self) -> Moments:
        """Moments of `test`."""
        return moments(self.test)

    @cached_property
    def test_to_train(self) -> float:
        """Median distance of a test image to its nearest train image."""
        return float(nearest_distance(self.test, self.all_train).median()) if self.all_train is not None else 0.0

    def floor(self) -> dict[str, float]:
        """The distances of as many train images to the test images: what a perfect sampler would reach."""
        return {
            "floor/fd": frechet_distance(moments(self.train), self.test_moments),
            "floor/kd": kernel_distance(self.train, self.test, KERNEL_SUBSET, KERNEL_SUBSETS, seed=0),
        }


@torch.inference_mode()
def sample_metrics(name: str, samples: Tensor, net: FeatureNet, reference: Reference) -> dict[str, float]:
    """Figures of the samples of one prior.

    Args:
        name: Of the prior.
        samples: Images, `(M, 1, 28, 28)` in [0, 1]; M should be the number of test images.
        net: The feature net.
        reference: The real images.

    Returns:
        `samples/<name>/<figure>` for each figure of this module; `nearest_train` only where `reference` has all train
        images.
    """
    features = features_of(net, samples)
    probabilities = net.classes(features.to(next(net.parameters()).device)).softmax(1).cpu()
    classes = torch.bincount(probabilities.argmax(1), minlength=10) / len(samples)
    figures = {
        "fd": frechet_distance(moments(features), reference.test_moments),
        "kd": kernel_distance(features, reference.test, KERNEL_SUBSET, KERNEL_SUBSETS, seed=0),
        **asdict(manifold_scores(reference.test, features, NEIGHBOUR)),
        "class_entropy": float(torch.special.entr(classes).sum()),
        "confidence": float(probabilities.amax(1).mean()),
    }
    if reference.all_train is not None:
        nearest = float(nearest_distance(features, reference.all_train).median())
        figures["nearest_train"] = nearest / reference.test_to_train
    return {f"samples/{name}/{figure}": value for figure, value in figures.items()}
