"""The importance-weighted bound on log p(x) (Burda et al. 2015, arXiv:1509.00519, equation 8).

    log p(x) ≥ E[log 1/S Σ_s w_s],   w_s = p(x|z_s) p(z_s) / q(z_s|x),   z_s ~ q(z|x)

It is the ELBO for S = 1, tightens as S grows, and is exact where q is the true posterior.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["importance_bound", "log_normal", "log_standard_normal"]


def importance_bound(log_w: Tensor) -> Tensor:
    """Log 1/S Σ_s w_s.

    Args:
        log_w: Log importance weights, `(S, B)`, nats.

    Returns:
        `(B,)`, nats, a lower bound of log p(x) in expectation.
    """
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def log_normal(z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """Log N(z; μ, diag σ²): `(..., D)` → `(...)`, nats."""
    return -0.5 * ((z - mu).square() * (-log_var).exp() + log_var + math.log(2 * math.pi)).sum(-1)


def log_standard_normal(z: Tensor) -> Tensor:
    """Log N(z; 0, I): `(..., D)` → `(...)`, nats."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
