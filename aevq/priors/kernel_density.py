"""A kernel density estimate over latent vectors: a baseline that memorises the train latents.

    z = z_n + b ε,  n uniform,  ε ~ N(0, I)        p(z) = (1/N) Σ_n Π_d N(z_d; z_nd, b_d²)

The bandwidth is b_d = h σ_d, with σ_d the standard deviation of dimension d of the train latents. Of a few values of h,
equally spaced on a logarithmic scale, the one is taken under which the validation latents are most likely.

Source: Silverman 1986, Density Estimation for Statistics and Data Analysis, sections 3.4.4 and 4.2.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import PositiveInt
from aevq.data import some_rows
from aevq.latents import LatentSet, LatentSpec, VectorSpec
from aevq.nn.distributed import map_rows
from aevq.priors.base import FitTo, Prior
from aevq.priors.normal import JITTER

CHUNK = 200  # latents scored at once: bounds the memory, changes no result
LOWEST, HIGHEST = 0.02, 1.0  # h


class KernelDensity(Prior):
    """A Gaussian kernel on each train latent.

    Args:
        spec: The latents that it draws, vectors.
        bandwidths: How many bandwidths are tried, from 0.02 to 1 standard deviation.
        max_fit: The bandwidth is chosen on at most this many validation latents.
        fit_to: Means of q(z|x), or draws from it; see `Prior`.
    """

    kind = VectorSpec
    latents: Tensor
    bandwidth: Tensor

    def __init__(
        self, spec: LatentSpec, bandwidths: PositiveInt = 16, max_fit: PositiveInt = 2000, fit_to: FitTo = "mean"
    ) -> None:
        super().__init__(spec)
        self.bandwidths, self.max_fit, self.fit_to = bandwidths, max_fit, fit_to
        self.register_buffer("latents", torch.zeros(1, *spec.shape))  # at first N(0, I)
        self.register_buffer("bandwidth", torch.ones(spec.shape))

    @override
    def fit(self, latents: LatentSet) -> None:
        """Keep the train latents, and choose the bandwidth by the likelihood of the validation latents."""
        self.latents = latents.train.to(self.latents)
        val = latents.val[some_rows(self.max_fit, len(latents.val))].to(self.latents)
        sigma = (latents.train.double().var(0, correction=0) + JITTER).sqrt().to(self.latents)
        h = torch.logspace(math.log10(LOWEST), math.log10(HIGHEST), self.bandwidths).to(self.latents)
        squared_distances = self._squared_distances(sigma)

        def log_p(z: Tensor) -> Tensor:  # by each h, up to a constant
            squared = squared_distances(z)
            return torch.stack([(-squared / (2 * each**2)).logsumexp(1) - len(sigma) * each.log() for each in h], 1)

        best = map_rows(log_p, val, CHUNK).double().mean(0).argmax()
        self.bandwidth.copy_(h[best] * sigma)

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw a train latent and add noise: `(n, D)`."""
        rows = torch.randint(len(self.latents), (n,), generator=generator)
        epsilon = torch.randn(n, *self.spec.shape, generator=generator).to(self.latents)
        return self.latents[rows.to(self.device)] + self.bandwidth * epsilon

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log p(z), exact: `(B, D)` → `(B,)`, nats."""
        squared_distances = self._squared_distances(self.bandwidth)
        constant = math.log(len(self.latents)) + (self.bandwidth.log() + 0.5 * math.log(2 * math.pi)).sum()
        return map_rows(lambda z: (-0.5 * squared_distances(z)).logsumexp(1) - constant, latents, CHUNK).to(self.device)

    def _squared_distances(self, scale: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the function z ↦ Σ_d ((z_d − z_nd) / scale_d)² of all train latents z_n: `(B, D)` → `(B, N)`."""
        shift = self.latents.mean(0)  # less rounding in the distances
        centres = (self.latents - shift) / scale
        return lambda z: torch.cdist((z - shift) / scale, centres).square()

    @override
    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what was fitted, however many train latents that are."""
        if "latents" in state_dict:
            self.latents = self.latents.new_empty(len(state_dict["latents"]), *self.spec.shape)
        return super().load_state_dict(state_dict, strict, assign)
