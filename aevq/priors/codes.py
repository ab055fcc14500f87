"""Priors over code grids that know nothing of the neighbours: all codes alike, or each position for itself.

p(z) = Π_ij p_ij(z_ij), with p_ij(k) = 1/K, or the frequency of code k at position (i, j).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aevq.config.schema import Positive, checked
from aevq.priors.base import require_codes

if TYPE_CHECKING:
    from aevq.latents import LatentSet, LatentSpec

__all__ = ["Marginals", "Uniform"]


class Uniform(nn.Module):
    """Every grid is as likely as any other: log p(z) = −h·w·log K.

    Args:
        spec: Latents to be drawn, code grids.
    """

    name = "uniform"
    log_probs: Tensor

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__()
        self.spec = require_codes(spec, self.name)
        h, w, num_codes = self.spec.height, self.spec.width, self.spec.num_codes
        self.register_buffer("log_probs", torch.full((h * w, num_codes), -math.log(num_codes)))

    def fit(self, latents: LatentSet, **stage: Any) -> None:
        """Nothing to fit."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Each position for itself: int64 `(n, h, w)`."""
        codes = torch.multinomial(self.log_probs.exp().cpu(), n, replacement=True, generator=generator)
        return codes.T.reshape(n, *self.spec.shape).to(self.log_probs.device)

    def log_prob(self, latents: Tensor) -> Tensor:
        """Σ_ij log p_ij(z_ij): int64 `(B, h, w)` → `(B,)`, nats."""
        return self.log_probs.gather(1, latents.flatten(1).T).sum(0)


@checked("prior.marginals")
class Marginals(Uniform):
    """The frequencies of the codes at each position, all positions independent.

    Args:
        spec: Latents to be drawn, code grids.
        pseudo_count: Added to each count, so that no grid is impossible (1 is Laplace's rule).
    """

    name = "marginals"

    def __init__(self, spec: LatentSpec, pseudo_count: Positive) -> None:
        super().__init__(spec)
        self.pseudo_count = pseudo_count

    def fit(self, latents: LatentSet, **stage: Any) -> None:
        """Count the codes of the train split, position by position."""
        positions = latents.train.flatten(1).T.long()
        counts = torch.stack([torch.bincount(z, minlength=self.spec.num_codes) for z in positions])
        p = F.normalize(counts.double() + self.pseudo_count, p=1, dim=1)
        self.log_probs.copy_(p.log())
