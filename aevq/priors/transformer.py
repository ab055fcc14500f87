"""A causal transformer as a prior over grids of codes: p(z) = Π_i p(z_i | z_<i), in raster order.

It samples one position after the other, and keeps the keys and values of those before it.

Source: Vaswani et al. 2017, arXiv:1706.03762; as a prior over the codes of a VQ model: Esser et al. 2021,
arXiv:2012.09841, section 3.2.
"""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import ArgumentError, PositiveFloat, PositiveInt, Probability
from aevq.latents import LatentSpec
from aevq.nn.contexts import seeded
from aevq.nn.transformer import GridTransformer
from aevq.ops.categorical import Draw
from aevq.priors.learned_codes import LearnedCodes


class Transformer(LearnedCodes):
    """p(z) as a causal transformer.

    Args:
        spec: The latents that it draws.
        width: Number of features of a position.
        layers: Number of layers.
        heads: Number of attention heads; divides `width`.
        dropout: Probability of dropping an output of attention or MLP.
        learning_rate: Learning rate of AdamW after the warm-up.
        **codes: Classes, clusters, batch size, steps, seed …; see `LearnedCodes` and `TrainedPrior`.
    """

    network: GridTransformer
    causal = True

    def __init__(
        self,
        spec: LatentSpec,
        width: PositiveInt = 128,
        layers: PositiveInt = 4,
        heads: PositiveInt = 4,
        dropout: Probability = 0.0,
        learning_rate: PositiveFloat = 2e-3,
        **codes: Any,
    ) -> None:
        super().__init__(spec, learning_rate=learning_rate, **codes)
        if width % heads:
            raise ArgumentError("heads", f"should divide width, {width}, got {heads}", type(self).__name__)
        positions = self.spec.height * self.spec.width
        with seeded(self.seed):
            self.network = GridTransformer(
                self.spec.num_codes, positions, width, layers, heads, self.num_conditions, dropout, self.causal
            )

    @override
    def logits(self, tokens: Tensor, conditions: Tensor) -> Tensor:
        """Return the logits of each position: int64 `(B, h, w)`, `(B, T)` → `(B, K, h, w)`, nats."""
        logits: Tensor = self.network(tokens.flatten(1), conditions)
        return logits.transpose(1, 2).unflatten(2, self.spec.shape)

    @override
    def draw(self, draw: Draw, conditions: Tensor) -> Tensor:
        caches, codes = self.network.new_caches(draw.rows), []
        code = torch.full((draw.rows,), self.network.blank, device=conditions.device)
        for position in range(self.spec.height * self.spec.width):
            codes.append(draw(self.network.next_logits(code, conditions, caches), position))
            code = draw.for_network(codes[-1])
        return torch.stack(codes, 1).view(-1, *self.spec.shape)
