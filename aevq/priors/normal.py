"""Normal priors over latent vectors: N(0, I), and N(m, C) with the mean and covariance of the train latents.

Both hold a mean m and a Cholesky factor L with C = LLᵀ; z = m + Lε, ε ~ N(0, I).
"""

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal
from typing_extensions import override

from aevq.latents import LatentSet, LatentSpec, VectorSpec
from aevq.priors.base import FitTo, Prior

JITTER = 1e-6  # added to the variances: an unused latent dimension has none


class _Normal(Prior):
    """N(m, LLᵀ), at first N(0, I)."""

    kind = VectorSpec
    mean: Tensor
    cholesky: Tensor

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.zeros(spec.shape))
        self.register_buffer("cholesky", torch.eye(*spec.shape))

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw z ~ N(m, LLᵀ): `(n, D)`."""
        epsilon = torch.randn(n, len(self.mean), generator=generator).to(self.mean)
        return self.mean + epsilon @ self.cholesky.T

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log N(z; m, LLᵀ): `(B, D)` → `(B,)`, nats."""
        return MultivariateNormal(self.mean, scale_tril=self.cholesky).log_prob(latents)


class StandardNormal(_Normal):
    """N(0, I): a VAE pulls its latents towards it, an AE does not.

    Args:
        spec: The latents that it draws, vectors.
    """


class FittedNormal(_Normal):
    """N(m, C) with m and C the mean and the covariance of the train latents.

    Args:
        spec: The latents that it draws, vectors.
        fit_to: Means of q(z|x), or draws from it; see `Prior`.
    """

    def __init__(self, spec: LatentSpec, fit_to: FitTo = "mean") -> None:
        super().__init__(spec)
        self.fit_to = fit_to

    @override
    def fit(self, latents: LatentSet) -> None:
        """Set m and C to the mean and the covariance of the train latents."""
        z = latents.train.flatten(1).double()
        dim = len(self.mean)
        covariance = torch.cov(z.T).reshape(dim, dim)
        jitter = JITTER * torch.eye(dim, dtype=z.dtype, device=z.device)
        self.mean.copy_(z.mean(0))
        self.cholesky.copy_(torch.linalg.cholesky(covariance + jitter))
