"""A masked transformer as a prior over grids of codes: it draws many positions at once, in a random order.

In training the codes of a random set m of positions are hidden, of a size that is uniform in 1 … n, and

    −log p(z) ≤ E_m [ n/|m| Σ_{i ∈ m} −log p(z_i | z_∖m) ]

is minimised: the mean over all orders of the positions. `log_prob` is an estimate of this bound. Samples start with all
positions hidden. In each of S steps all hidden codes are drawn, and those with the highest log p(code) + τ·(1 − s/S)·g,
with g from a Gumbel distribution, are kept, until n·cos(π/2·s/S) are hidden after step s.

Source: Chang et al. 2022, "MaskGIT", arXiv:2202.04200 (sampling); Hoogeboom et al. 2022, "Autoregressive Diffusion
Models", arXiv:2110.02037, equation 4 (bound).
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from aevq.config.checks import NonNegativeFloat, PositiveFloat, PositiveInt
from aevq.latents import LatentSpec
from aevq.ops.categorical import Draw
from aevq.priors.transformer import Transformer


class Masked(Transformer):
    """p(z) as a bidirectional transformer over partly hidden grids.

    Args:
        spec: The latents that it draws.
        sampling_steps: S, steps of drawing a grid.
        choice_temperature: τ; a large one makes the order of the positions random, 0 starts with the most probable.
        learning_rate: Learning rate of AdamW after the warm-up.
        **transformer: Width, layers, heads, dropout, and what `LearnedCodes` and `TrainedPrior` take.
    """

    causal = False

    def __init__(
        self,
        spec: LatentSpec,
        sampling_steps: PositiveInt = 12,
        choice_temperature: NonNegativeFloat = 4.5,
        learning_rate: PositiveFloat = 2e-3,
        **transformer: Any,
    ) -> None:
        super().__init__(spec, learning_rate=learning_rate, **transformer)
        self.sampling_steps, self.choice_temperature = sampling_steps, choice_temperature

    @override
    def log_conditional(self, codes: Tensor, conditions: Tensor) -> Tensor:
        """Return an estimate of a lower bound of log p(z | conditions), by one random mask for each grid.

        The masks are from the global random numbers in training, and otherwise always the same.
        """
        z = codes.flatten(1)
        generator = None if self.training else torch.Generator().manual_seed(0)
        size, order = torch.rand(len(z), 1, generator=generator), torch.rand(z.shape, generator=generator)
        ranks = order.argsort(1).argsort(1)
        n = z.shape[1]
        hidden = (ranks < (size * n).floor() + 1).to(z.device)
        logits = self.network(z.masked_fill(hidden, self.network.blank), conditions)
        nats = F.cross_entropy(logits.transpose(1, 2), z, reduction="none")
        return -n * (nats * hidden).sum(1) / hidden.sum(1)

    @override
    def draw(self, draw: Draw, conditions: Tensor) -> Tensor:
        assert draw.order is not None
        n, blank = self.spec.height * self.spec.width, self.network.blank
        gumbel = -(-draw.order.flatten(1).clamp(min=1e-12).log()).log()
        codes = torch.full((len(gumbel), n), blank, device=conditions.device)
        for step in range(1, self.sampling_steps + 1):
            logits = self.network(draw.for_network(codes), conditions)
            hidden, drawn = codes == blank, draw(logits)
            log_p = draw.guided(logits).log_softmax(-1).gather(-1, drawn[..., None]).squeeze(-1)
            progress = step / self.sampling_steps
            score = log_p + self.choice_temperature * (1 - progress) * gumbel
            left = math.floor(n * math.cos(math.pi / 2 * progress))
            kept = score.masked_fill(~hidden, math.inf).argsort(1, descending=True).argsort(1) < n - left
            codes = torch.where(hidden & kept, drawn, codes)
        return codes.view(-1, *self.spec.shape)
