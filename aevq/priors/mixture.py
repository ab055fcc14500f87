"""A mixture of Gaussians over latent vectors, p(z) = Σ_m w_m N(z; μ_m, C_m), fitted by scikit-learn's EM.

With it, a plain autoencoder becomes a sampler (Ghosh et al. 2020, arXiv:1903.12436, section 4, use ten components).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from aevq.config.schema import Count, NonNegative, Seed, checked
from aevq.errors import expect
from aevq.priors.base import require_vectors

if TYPE_CHECKING:
    from aevq.latents import LatentSet, LatentSpec

__all__ = ["Mixture"]


@checked("prior.mixture")
class Mixture(nn.Module):
    """Gaussian mixture with full covariances.

    Args:
        spec: Latents to be drawn, vectors.
        num_components: Number of Gaussians.
        max_fit: EM sees at most so many codes, the first ones of the (shuffled) train split.
        max_iter: EM iterations at most.
        regularization: Added to the variances, in squared units of the latent.
        seed: Of the k-means start.
    """

    weights: Tensor
    means: Tensor
    choleskys: Tensor

    def __init__(
        self,
        spec: LatentSpec,
        num_components: Count,
        max_fit: Count,
        max_iter: Count,
        regularization: NonNegative,
        seed: Seed,
    ) -> None:
        super().__init__()
        self.spec = require_vectors(spec, "mixture")
        expect(max_fit >= num_components, "prior.mixture.max_fit", "at least num_components", max_fit)
        self.fewest_latents = num_components
        self.max_fit, self.max_iter = max_fit, max_iter
        self.regularization, self.seed = regularization, seed
        dim = self.spec.dim
        self.register_buffer("weights", torch.full((num_components,), 1 / num_components))
        self.register_buffer("means", torch.zeros(num_components, dim))
        self.register_buffer("choleskys", torch.eye(dim).repeat(num_components, 1, 1))

    def fit(self, latents: LatentSet, **stage: Any) -> None:
        """EM on the train codes."""
        from sklearn.exceptions import ConvergenceWarning  # a second to import, and only fitting needs it
        from sklearn.mixture import GaussianMixture

        z = latents.train[: self.max_fit].flatten(1).double().cpu().numpy()
        expect(
            len(z) >= len(self.weights),
            "prior.mixture.num_components",
            f"at most {len(z)}",
            len(self.weights),
        )
        em = GaussianMixture(
            len(self.weights), max_iter=self.max_iter, reg_covar=self.regularization, random_state=self.seed
        )
        with warnings.catch_warnings():
            # EM stopped by `max_iter` is still a density, and the budget was asked for.
            warnings.simplefilter("ignore", ConvergenceWarning)
            em.fit(z)
        self.weights.copy_(torch.from_numpy(em.weights_))
        self.means.copy_(torch.from_numpy(em.means_))
        self.choleskys.copy_(torch.linalg.cholesky(torch.from_numpy(em.covariances_)))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """M ~ w, z = μ_m + L_m ε: `(n, D)`."""
        m = torch.multinomial(self.weights.cpu(), n, replacement=True, generator=generator).to(self.means.device)
        epsilon = torch.randn(n, self.spec.dim, generator=generator).to(self.means)
        # A component at a time: gathering an n×D×D stack of factors costs far more than the draw.
        z = torch.empty_like(epsilon)
        for component, (mean, cholesky) in enumerate(zip(self.means, self.choleskys, strict=True)):
            chosen = m == component
            z[chosen] = mean + epsilon[chosen] @ cholesky.T
        return z

    def log_prob(self, latents: Tensor) -> Tensor:
        """Log Σ_m w_m N(z; μ_m, L_m L_mᵀ): `(B, D)` → `(B,)`, nats."""
        components = MultivariateNormal(self.means, scale_tril=self.choleskys)
        return MixtureSameFamily(Categorical(self.weights), components).log_prob(latents)
