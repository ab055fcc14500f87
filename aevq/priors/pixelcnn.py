"""The gated PixelCNN as a prior over grids of codes: p(z) = Π_ij p(z_ij | z_<ij), by convolutions.

Source: van den Oord et al. 2016, arXiv:1606.05328; as a prior for a VQ-VAE: van den Oord et al. 2017, arXiv:1711.00937,
section 3.
"""

from typing import Any

from torch import Tensor
from typing_extensions import override

from aevq.config.checks import OddInt, PositiveFloat, PositiveInt, Probability
from aevq.latents import LatentSpec
from aevq.nn.contexts import seeded
from aevq.nn.pixelcnn import GatedPixelCNN
from aevq.nn.pixelcnn_sampler import sample_codes
from aevq.ops.categorical import Draw
from aevq.priors.learned_codes import LearnedCodes


class PixelCNN(LearnedCodes):
    """p(z) as a gated PixelCNN.

    Args:
        spec: The latents that it draws.
        channels: Channels of both stacks.
        layers: Number of gated layers.
        kernel: Width of the vertical kernel, odd.
        dropout: Probability of dropping an activation behind a gate.
        learning_rate: Learning rate of AdamW after the warm-up.
        **codes: Classes, clusters, batch size, steps, seed …; see `LearnedCodes` and `TrainedPrior`.
    """

    network: GatedPixelCNN

    def __init__(
        self,
        spec: LatentSpec,
        channels: PositiveInt = 64,
        layers: PositiveInt = 6,
        kernel: OddInt = 3,
        dropout: Probability = 0.0,
        learning_rate: PositiveFloat = 5e-3,
        **codes: Any,
    ) -> None:
        super().__init__(spec, learning_rate=learning_rate, **codes)
        with seeded(self.seed):
            self.network = GatedPixelCNN(self.spec.num_codes, channels, layers, kernel, self.num_conditions, dropout)

    @override
    def logits(self, codes: Tensor, conditions: Tensor) -> Tensor:
        logits: Tensor = self.network(codes, conditions)
        return logits

    @override
    def draw(self, draw: Draw, conditions: Tensor) -> Tensor:
        return sample_codes(self.network, draw, conditions)
