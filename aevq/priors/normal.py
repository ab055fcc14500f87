"""Normal priors over latent vectors: N(0, I), and N(m, C) with the mean and covariance of the codes.

Both hold a mean m and a Cholesky factor L with C = LLᵀ; z = m + Lε, ε ~ N(0, I).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from aevq.priors.base import require_vectors

if TYPE_CHECKING:
    from aevq.latents import LatentSet, LatentSpec

__all__ = ["FittedNormal", "StandardNormal"]

JITTER = 1e-6  # added to the variances: a dead latent dimension has none


class StandardNormal(nn.Module):
    """N(0, I): what a VAE pulls its codes to, and what an AE knows nothing of.

    Args:
        spec: Latents to be drawn, vectors.
    """

    name = "standard_normal"
    mean: Tensor
    cholesky: Tensor

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__()
        self.spec = require_vectors(spec, self.name)
        self.register_buffer("mean", torch.zeros(self.spec.dim))
        self.register_buffer("cholesky", torch.eye(self.spec.dim))

    def fit(self, latents: LatentSet, **stage: Any) -> None:
        """Nothing to fit."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Z ~ N(m, LLᵀ): `(n, D)`."""
        epsilon = torch.randn(n, self.spec.dim, generator=generator).to(self.mean)
        return self.mean + epsilon @ self.cholesky.T

    def log_prob(self, latents: Tensor) -> Tensor:
        """Log N(z; m, LLᵀ): `(B, D)` → `(B,)`, nats."""
        return MultivariateNormal(self.mean, scale_tril=self.cholesky).log_prob(latents)


class FittedNormal(StandardNormal):
    """N(m, C) with m and C the mean and the covariance of the codes."""

    name = "fitted_normal"

    def fit(self, latents: LatentSet, **stage: Any) -> None:
        """M = mean of the train codes, C = their covariance."""
        z = latents.train.flatten(1).double()
        covariance = torch.cov(z.T).reshape(self.spec.dim, self.spec.dim)
        jitter = JITTER * torch.eye(self.spec.dim, dtype=z.dtype, device=z.device)
        self.mean.copy_(z.mean(0))
        self.cholesky.copy_(torch.linalg.cholesky(covariance + jitter))
