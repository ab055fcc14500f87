"""Drawing from categorical distributions, given as logits, by uniform random numbers that were drawn before.

    k = min { k : Σ_{k' ≤ k} p_{k'} > u },      p = softmax(logits / T)

So a sample depends, up to rounding, neither on the device nor on how many are drawn at once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def inverse_cdf(logits: Tensor, uniforms: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Return the first k at which the cumulative distribution exceeds `u`, int64 `(...)`.

    Args:
        logits: `(..., K)`, nats.
        uniforms: `u`, `(...)`, in [0, 1).
        temperature: T, positive; below 1 it sharpens the distribution, above 1 it flattens it.
        top_p: Draws from the fewest most probable k whose probabilities sum to at least this (nucleus sampling,
            Holtzman et al. 2020, arXiv:1904.09751); 1 draws from all.
    """
    p = torch.softmax(logits.to(uniforms.dtype) / temperature, dim=-1)
    if top_p < 1:
        largest, order = p.sort(dim=-1, descending=True)
        before = largest.cumsum(-1) - largest
        p = torch.zeros_like(p).scatter(-1, order, torch.where(before < top_p, largest, 0))
    cdf = p.cumsum(dim=-1)
    # u is scaled by the last sum, which is 1 but for rounding and top_p; the clamp is for a product that is rounded up.
    u = uniforms[..., None] * cdf[..., -1:]
    return torch.searchsorted(cdf, u, right=True).squeeze(-1).clamp_(max=logits.shape[-1] - 1)


@dataclass(frozen=True)
class Draw:
    """Draws the codes of B grids, some positions at a time.

    With guidance (Ho & Salimans 2022, arXiv:2207.12598) a network gets each grid twice, in the first half of its batch
    with the class and in the second without, and codes are drawn from (1 + s)·logits_with − s·logits_without.

    Attributes:
        uniforms: One random number in [0, 1) for each position, `(B, h, w)`.
        order: Further ones, `(B, h, w)`, for a prior that draws the positions in a random order.
        temperature: Divides the logits; see `inverse_cdf`.
        top_p: See `inverse_cdf`.
        guidance: s; 0 is no guidance.
    """

    uniforms: Tensor
    order: Tensor | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    guidance: float = 0.0

    @property
    def rows(self) -> int:
        """The batch size of the network: B, or 2B with guidance."""
        return len(self.uniforms) * (2 if self.guidance else 1)

    def guided(self, logits: Tensor) -> Tensor:
        """Return the logits to draw from: `(rows, …, K)` → `(B, …, K)`."""
        if not self.guidance:
            return logits
        given, free = logits.chunk(2)
        return given + self.guidance * (given - free)

    def for_network(self, codes: Tensor) -> Tensor:
        """Return codes as the network gets them: `(B, …)` → `(rows, …)`."""
        return torch.cat([codes, codes]) if self.guidance else codes

    def __call__(self, logits: Tensor, positions: int | slice = slice(None)) -> Tensor:
        """Return codes at `positions` in raster order, by default at all: `(rows, …, K)` → int64 `(B, …)`."""
        uniforms = self.uniforms.flatten(1)[:, positions]
        return inverse_cdf(self.guided(logits), uniforms, self.temperature, self.top_p)
