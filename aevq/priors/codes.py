"""Priors over grids of codes that treat all positions as independent.

p(z) = Π_ij p_ij(z_ij), with p_ij(k) = 1/K, or with the frequency of code k at position (i, j).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from aevq.config.checks import PositiveFloat
from aevq.latents import CodeSpec, LatentSet, LatentSpec
from aevq.priors.base import Prior


class _IndependentCodes(Prior):
    """One categorical distribution for each position, at first a uniform one."""

    kind = CodeSpec
    spec: CodeSpec
    log_probs: Tensor

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__(spec)
        h, w, num_codes = self.spec.height, self.spec.width, self.spec.num_codes
        self.register_buffer("log_probs", torch.full((h * w, num_codes), -math.log(num_codes)))

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw each position independently: int64 `(n, h, w)`."""
        codes = torch.multinomial(self.log_probs.exp().cpu(), n, replacement=True, generator=generator)
        return codes.T.reshape(n, *self.spec.shape).to(self.log_probs.device)

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return Σ_ij log p_ij(z_ij): int64 `(B, h, w)` → `(B,)`, nats."""
        return self.log_probs.gather(1, latents.flatten(1).T).sum(0)


class Uniform(_IndependentCodes):
    """Every grid is equally likely: log p(z) = −h·w·log K.

    Args:
        spec: The latents that it draws, grids of codes.
    """


class Marginals(_IndependentCodes):
    """The frequencies of the codes at each position.

    Args:
        spec: The latents that it draws, grids of codes.
        pseudo_count: Added to each count, so that no grid is impossible (1 is Laplace's rule).
    """

    def __init__(self, spec: LatentSpec, pseudo_count: PositiveFloat = 0.1) -> None:
        super().__init__(spec)
        self.pseudo_count = pseudo_count

    @override
    def fit(self, latents: LatentSet) -> None:
        """Count the codes of the train split at each position."""
        positions = latents.train.flatten(1).T.long()
        counts = torch.stack([torch.bincount(z, minlength=self.spec.num_codes) for z in positions])
        p = F.normalize(counts.double() + self.pseudo_count, p=1, dim=1)
        self.log_probs.copy_(p.log())
