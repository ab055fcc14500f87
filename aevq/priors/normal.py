"""Normal priors over latent vectors: N(0, I), and N(m, C) with the mean and covariance of the train latents.

Both hold a mean m and a Cholesky factor L with C = LLᵀ; z = m + Lε, ε ~ N(0, I).
"""

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal
from typing_extensions import override

from aevq.latents import LatentSet, LatentSpec, VectorSpec
from aevq.priors.base import Prior

JITTER = 1e-6  # added to the variances: an unused latent dimension has none


class StandardNormal(Prior):
    """N(0, I): a VAE pulls its latents towards it, an AE does not."""

    kind = VectorSpec
    mean: Tensor
    cholesky: Tensor

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.zeros(spec.shape))
        self.register_buffer("cholesky", torch.eye(*spec.shape))

    @override
    def fit(self, latents: LatentSet) -> None:
        """Do nothing: m = 0 and L = I."""

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw z ~ N(m, LLᵀ): `(n, D)`."""
        epsilon = torch.randn(n, len(self.mean), generator=generator).to(self.mean)
        return self.mean + epsilon @ self.cholesky.T

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log N(z; m, LLᵀ): `(B, D)` → `(B,)`, nats."""
        return MultivariateNormal(self.mean, scale_tril=self.cholesky).log_prob(latents)


class FittedNormal(StandardNormal):
    """N(m, C), m and C the mean and the covariance of the train latents."""

    @override
    def fit(self, latents: LatentSet) -> None:
        """Set m, and L from C."""
        z = latents.train.flatten(1).double()
        jitter = JITTER * torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        covariance = torch.cov(z.T).reshape_as(jitter)
        self.mean.copy_(z.mean(0))
        self.cholesky.copy_(torch.linalg.cholesky(covariance + jitter))
