"""The loss terms of a model, averaged over a whole split."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aevq.ops.units import nats_to_bits

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["loss_terms"]


@torch.no_grad()
def loss_terms(means: Callable[[Tensor], dict[str, Tensor]], x: Tensor, seed: int = 0) -> dict[str, float]:
    """Mean loss terms.

    Args:
        means: Images `(B, C, H, W)` → the mean of each loss term, by name, of a model in eval mode.
        x: Images, `(N, C, H, W)` in [0, 1].
        seed: Of the noise in the terms (a VAE's z).

    Returns:
        `loss/<term>`, nats per image; where there is a `kl`, also `rate/kl_bits`, bits per image.
    """
    totals: dict[str, float] = defaultdict(float)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for chunk in x.split(500):
            for name, value in means(chunk).items():
                totals[f"loss/{name}"] += float(value) * len(chunk)
    terms = {name: total / len(x) for name, total in totals.items()}
    return terms | ({"rate/kl_bits": nats_to_bits(terms["loss/kl"])} if "loss/kl" in terms else {})
