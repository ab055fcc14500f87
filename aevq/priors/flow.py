"""A normalizing flow over latent vectors: neural spline coupling layers, by the library zuko.

    u = f⁻¹(ε),  ε ~ N(0, I)        log p(u) = log N(f(u); 0, I) + log |det ∂f/∂u|

f is a chain of invertible layers. Each one transforms the dimensions of one half by monotonic splines, whose knots are
computed from the other half by a network, so f, its inverse and its determinant are exact.

Source: Durkan et al. 2019, arXiv:1906.04032; coupling: Dinh et al. 2017, arXiv:1605.08803.
"""

from typing import Any

import zuko
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import PositiveFloat, PositiveInt, PositiveInts
from aevq.latents import LatentSpec
from aevq.priors.standardized import StandardizedPrior
from aevq.priors.trained import seeded


class Flow(StandardizedPrior):
    """A neural spline flow with an exact density.

    Args:
        spec: The latents that it draws, vectors.
        transforms: Number of invertible layers, each with an order of the dimensions of its own.
        hidden: Widths of the hidden layers of the network of each layer.
        bins: Bins of a spline on [−5, 5]; outside it is the identity.
        passes: Groups of dimensions; each group is transformed given all groups before. 2 is a coupling flow. More make
            sampling slower by as much, up to a fully autoregressive flow with one group for each dimension.
        learning_rate: Learning rate of AdamW after the warm-up.
        **training: Batch size, steps, seed …; see `TrainedPrior`.
    """

    def __init__(
        self,
        spec: LatentSpec,
        transforms: PositiveInt = 6,
        hidden: PositiveInts = (256, 256),
        bins: PositiveInt = 8,
        passes: PositiveInt = 2,
        learning_rate: PositiveFloat = 1e-3,
        **training: Any,
    ) -> None:
        super().__init__(spec, learning_rate=learning_rate, **training)
        (dim,) = spec.shape
        with seeded(self.seed):
            self.network = zuko.flows.NSF(
                dim, transforms=transforms, hidden_features=hidden, bins=bins, passes=passes, randperm=True
            )

    @override
    def log_likelihood(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        return self.network().log_prob(self.standardize(latents)) - self.std.log().sum()

    @override
    def from_noise(self, epsilon: Tensor) -> Tensor:
        return self.network().transform.inv(epsilon)

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log p(z), exact: `(B, D)` → `(B,)`, nats."""
        return self.evaluate(lambda z: self.log_likelihood(z, None), latents)
