"""A normalizing flow over latent vectors: coupling layers of neural splines, by the library zuko.

    u = f⁻¹(ε),  ε ~ N(0, I)        log p(u) = log N(f(u); 0, I) + log |det ∂f/∂u|

f is a chain of invertible layers. Each one transforms half of the dimensions by monotonic splines; a network computes
their knots from the other half. So f, its inverse and its determinant are exact, and all of them are equally fast; the
inverse of an autoregressive layer takes D passes of its network.

Source: Durkan et al. 2019, arXiv:1906.04032; coupling: Dinh et al. 2017, arXiv:1605.08803.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.lazy import LazyComposedTransform
from zuko.transforms import MonotonicRQSTransform

from aevq.config.checks import PositiveFloat, PositiveInt, PositiveInts
from aevq.latents import LatentSpec
from aevq.nn.contexts import seeded
from aevq.priors.standardized import StandardizedPrior


class Flow(StandardizedPrior):
    """A neural spline flow with an exact density.

    Args:
        spec: The latents that it draws, vectors.
        layers: Number of coupling layers; every second one transforms the half that the one before left as it was.
        hidden: Widths of the hidden layers of each layer's network.
        bins: Bins of a spline on [−5, 5]; outside it is the identity.
        learning_rate: Learning rate of AdamW after the warm-up.
        **training: `fit_to`, batch size, steps, seed …; see `StandardizedPrior` and `TrainedPrior`.
    """

    def __init__(
        self,
        spec: LatentSpec,
        layers: PositiveInt = 6,
        hidden: PositiveInts = (256, 256),
        bins: PositiveInt = 8,
        learning_rate: PositiveFloat = 1e-3,
        **training: Any,
    ) -> None:
        super().__init__(spec, learning_rate=learning_rate, **training)
        (dim,) = spec.shape
        shapes = [(bins,), (bins,), (bins - 1,)]  # widths, heights and slopes of a spline
        with seeded(self.seed):
            halves = [torch.randperm(dim) % 2 == 0 for _ in range(0, layers, 2)]
            masks = [mask for half in halves for mask in (half, ~half)][:layers]
            layer = partial(GeneralCouplingTransform, dim, univariate=MonotonicRQSTransform, shapes=shapes)
            self.network = LazyComposedTransform(*(layer(mask=mask, hidden_features=hidden) for mask in masks))

    @override
    def log_likelihood(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        epsilon, log_det = self.network().call_and_ladj(self.standardize(latents))
        log_normal = -0.5 * (epsilon.square() + math.log(2 * math.pi)).sum(1)
        return log_normal + log_det - self.std.log().sum()

    @override
    def from_noise(self, epsilon: Tensor) -> Tensor:
        return self.network().inv(epsilon)

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log p(z), exact: `(B, D)` → `(B,)`, nats."""
        return self.evaluate(lambda z: self.log_likelihood(z, None), latents)
