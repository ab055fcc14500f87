"""How samples compare with real images, in the features of the feature net.

fd             Fréchet distance to the test images (FD-MNIST)
kd             kernel distance to the test images, unbiased
precision, recall, density, coverage        k = 5
class_entropy  entropy of the predicted classes, nats; log 10 = 2.303 is perfectly even
confidence     mean probability of the predicted class
nearest_train  median distance of a sample to its nearest train image, over the same for test images; well under 1
               would be memorisation

The net knows single digits. Of stacked digits it sees each channel by itself: their features are those of the channels
one after the other, 128 each, classes and confidence are those of all channels together, and there are also

modes         how many of the 10^C modes (`aevq.ops.modes`) the samples reach, by the predicted class of each channel
mode_kl       KL of the frequencies of these modes to the uniform distribution, nats
mode_samples  samples that the two were counted on
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from aevq.nn.distributed import map_rows
from aevq.nn.feature_net import NUM_FEATURES
from aevq.ops.distance import Moments, frechet_distance, kernel_distance, moments
from aevq.ops.manifold import manifold_scores, nearest_distance
from aevq.ops.modes import CLASSES, kl_to_uniform, mode_of, modes_covered

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.nn.feature_net import FeatureNet

__all__ = ["Reference", "features_of", "mode_metrics", "sample_metrics"]

NEIGHBOUR = 5
KERNEL_SUBSET, KERNEL_SUBSETS = 1000, 50
CHUNK = 250  # images: on a CPU a chunk whose feature maps stay in the cache is three times as fast as one of 1,000


@torch.inference_mode()
def features_of(net: FeatureNet, x: Tensor) -> Tensor:
    """Features of images `(N, C, 28, 28)` in [0, 1], channel by channel, in chunks: `(N, C·128)`, on the CPU."""
    device = next(net.parameters()).device
    digits = x.flatten(0, 1)[:, None]
    features = map_rows(lambda chunk: net.features(chunk.to(device)), digits, CHUNK)
    return features.view(len(x), -1)


@dataclass(frozen=True)
class Reference:
    """The real images that samples are held against.

    Attributes:
        test: Features of the test images, `(N, C·128)`.
        train: Features of as many train images.
        all_train: Features of every train image, `(T, C·128)`; None where memorisation is not looked for.
    """

    test: Tensor
    train: Tensor
    all_train: Tensor | None

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
def mode_metrics(features: Tensor, net: FeatureNet) -> dict[str, float]:
    """Modes of stacked digits.

    Args:
        features: Of N images, `(N, C·128)`.
        net: The feature net that they come from.

    Returns:
        `modes`, `mode_kl` (nats) and `mode_samples`, which is N; nothing for images of one channel.
    """
    probabilities = _probabilities(features, net)
    channels = probabilities.shape[1]
    if channels == 1:
        return {}
    modes = mode_of(probabilities.argmax(2))
    return {
        "modes": float(modes_covered(modes)),
        "mode_kl": kl_to_uniform(modes, CLASSES**channels),
        "mode_samples": float(len(modes)),
    }


def _probabilities(features: Tensor, net: FeatureNet) -> Tensor:
    """Of each channel's digits: features `(N, C·128)` → `(N, C, 10)`."""
    by_channel = features.view(len(features), -1, NUM_FEATURES)
    return net.classes(by_channel.to(next(net.parameters()).device)).softmax(2).cpu()


@torch.inference_mode()
def sample_metrics(
    name: str, samples: Tensor, net: FeatureNet, reference: Reference, mode_samples: int = 0
) -> dict[str, float]:
    """Figures of the samples of one prior.

    Args:
        name: Of the prior.
        samples: Images, `(M, C, 28, 28)` in [0, 1]. All figures but those of the modes are of as many of them as there
            are test images in `reference`, because sets of two sizes would be biased differently.
        net: The feature net.
        reference: The real images.
        mode_samples: The first so many are for the modes; 0 leaves them out.

    Returns:
        `samples/<name>/<figure>` for each figure of this module; `nearest_train` only where `reference` has all train
        images.
    """
    every = features_of(net, samples)
    features = every[: len(reference.test)]
    probabilities = _probabilities(features, net).flatten(0, 1)
    classes = torch.bincount(probabilities.argmax(1), minlength=CLASSES) / len(probabilities)
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
    if mode_samples:
        figures |= mode_metrics(every[:mode_samples], net)
    return {f"samples/{name}/{figure}": value for figure, value in figures.items()}
