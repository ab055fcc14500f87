"""What a latent costs to send, by a prior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from aevq.nn.distributed import map_rows

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.priors.base import Prior

__all__ = ["code_length"]

CHUNK = 500
MOST_SUMMED = 10  # classes: each costs as much as an unconditional prior


def code_length(prior: Prior, latents: Tensor, labels: Tensor) -> Tensor:
    """Code length of each latent, −log p(z); of a prior p(z|y) with too many classes to sum, log |Y| − log p(z|y).

    The latter, what it takes to send the class first, is the larger one.

    Args:
        prior: Fitted.
        latents: `(N, *spec.shape)`, shared out to the processes.
        labels: `(N,)`; not looked at where p(z) can be had.

    Returns:
        `(N,)`, nats.
    """
    device = next(iter(prior.state_dict().values())).device  # type: ignore[attr-defined]
    classes = getattr(prior, "num_classes", None) or 1

    def length(rows: Tensor) -> Tensor:
        z = latents[rows].to(device)
        if classes <= MOST_SUMMED:
            return -prior.log_prob(z)
        return math.log(classes) - prior.log_prob(z, labels[rows].to(device))  # type: ignore[call-arg]

    return map_rows(length, torch.arange(len(latents)), CHUNK)
