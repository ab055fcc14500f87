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
from typing import TYPE_CHECKING

import torch

from aevq.ops.distance import Moments, frechet_distance, kernel_distance, moments
from aevq.ops.manifold import manifold_scores, nearest_distance

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.nn.feature_net import FeatureNet

__all__ = ["Reference", "features_of", "sample_metrics"]

NEIGHBOUR = 5
KERNEL_SUBSET, KERNEL_SUBSETS = 1000, 50


@torch.inference_mode()
def features_of(net: FeatureNet, x: Tensor) -> Tensor:
    """Features of images `(N, 1, 28, 28)` in [0, 1], chunk by chunk: `(N, 128)`, on the CPU."""
    device = next(net.parameters()).device
    return torch.cat([net.features(chunk.to(device)).cpu() for chunk in x.split(1000)])


@dataclass(frozen=True)
class Reference:
    """The real images that samples are held against.

    Attributes:
        test: Features of the test images, `(N, 128)`.
        train: Features of all train images, `(T, 128)`.
        test_moments: Of `test`.
        test_to_train: Median distance of a test image to its nearest train image.
    """

    test: Tensor
    train: Tensor
    test_moments: Moments
    test_to_train: float

    @classmethod
    def of(cls, net: FeatureNet, test: Tensor, train: Tensor) -> Reference:
        """From images `(N, 1, 28, 28)` of the test and `(T, 1, 28, 28)` of the train split."""
        test_features, train_features = features_of(net, test), features_of(net, train)
        nearest = float(nearest_distance(test_features, train_features).median())
        return cls(test_features, train_features, moments(test_features), nearest)

    def floor(self) -> dict[str, float]:
        """The distances of as many train images to the test images: what a perfect sampler would reach."""
        train = self.train[: len(self.test)]
        return {
            "floor/fd": frechet_distance(moments(train), self.test_moments),
            "floor/kd": kernel_distance(train, self.test, KERNEL_SUBSET, KERNEL_SUBSETS, seed=0),
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
        `samples/<name>/<figure>` for each figure of this module.
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
        "nearest_train": float(nearest_distance(features, reference.train).median()) / reference.test_to_train,
    }
    return {f"samples/{name}/{figure}": value for figure, value in figures.items()}
