"""A mixture of Gaussians over latent vectors, p(z) = Σ_m w_m N(z; μ_m, C_m), fitted by scikit-learn's EM.

It makes a plain autoencoder a sampler (Ghosh et al. 2020, arXiv:1903.12436, section 4, with ten components).
"""

import warnings

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal
from typing_extensions import override

from aevq.config.checks import ArgumentError, NonNegativeFloat, PositiveInt, Seed
from aevq.data import some_rows
from aevq.latents import LatentSet, LatentSpec, VectorSpec
from aevq.priors.base import FitTo, Prior


class Mixture(Prior):
    """A Gaussian mixture with full covariances.

    Args:
        spec: The latents that it draws.
        num_components: Number of Gaussians.
        max_fit: EM uses at most this many train latents: the first ones, or random ones where neighbours are mostly of
            one class, as in a split that is sorted by class.
        max_iter: EM iterations at most.
        regularization: Added to the variances, in squared units of the latent.
        seed: Seed of the k-means start.
        fit_to: Means of q(z|x), or draws from it; see `Prior`.
    """

    kind = VectorSpec
    weights: Tensor
    means: Tensor
    choleskys: Tensor

    def __init__(
        self,
        spec: LatentSpec,
        num_components: PositiveInt = 10,
        max_fit: PositiveInt = 20_000,
        max_iter: PositiveInt = 50,
        regularization: NonNegativeFloat = 1e-4,
        seed: Seed = 0,
        fit_to: FitTo = "mean",
    ) -> None:
        super().__init__(spec)
        self.fit_to = fit_to
        if max_fit < num_components:
            raise ArgumentError("max_fit", f"should be at least num_components, {num_components}, got {max_fit}")
        self.fewest_latents = num_components
        self.max_fit, self.max_iter = max_fit, max_iter
        self.regularization, self.seed = regularization, seed
        (dim,) = spec.shape
        self.register_buffer("weights", torch.full((num_components,), 1 / num_components))
        self.register_buffer("means", torch.zeros(num_components, dim))
        self.register_buffer("choleskys", torch.eye(dim).repeat(num_components, 1, 1))

    @override
    def fit(self, latents: LatentSet) -> None:
        """Run EM on the train latents; a UserError if there are fewer of them than components."""
        from sklearn.exceptions import ConvergenceWarning  # takes a second to import, and only fitting needs it
        from sklearn.mixture import GaussianMixture

        labels = latents.train_labels
        rows = torch.arange(min(self.max_fit, len(labels)))
        if (labels.diff() != 0).float().mean() < 0.5:
            rows = some_rows(self.max_fit, len(labels))
        z = latents.train[rows].flatten(1).double().cpu().numpy()
        components = len(self.weights)
        if len(z) < components:
            problem = f"needs at least {components} train latents, got {len(z)}"
            raise ArgumentError("num_components", problem, type(self).__name__)
        em = GaussianMixture(components, max_iter=self.max_iter, reg_covar=self.regularization, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # EM that `max_iter` stops still gives a density
            em.fit(z)
        self.weights.copy_(torch.from_numpy(em.weights_))
        self.means.copy_(torch.from_numpy(em.means_))
        self.choleskys.copy_(torch.linalg.cholesky(torch.from_numpy(em.covariances_)))

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw m ~ w and z = μ_m + L_m ε: `(n, D)`."""
        m = torch.multinomial(self.weights.cpu(), n, replacement=True, generator=generator).to(self.means.device)
        epsilon = torch.randn(n, self.means.shape[1], generator=generator).to(self.means)
        # One component at a time: to gather an n×D×D stack of factors costs far more than the draw.
        z = torch.empty_like(epsilon)
        for component, (mean, cholesky) in enumerate(zip(self.means, self.choleskys, strict=True)):
            chosen = m == component
            z[chosen] = mean + epsilon[chosen] @ cholesky.T
        return z

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log Σ_m w_m N(z; μ_m, L_m L_mᵀ): `(B, D)` → `(B,)`, nats."""
        components = MultivariateNormal(self.means, scale_tril=self.choleskys)
        return MixtureSameFamily(Categorical(self.weights), components).log_prob(latents)
