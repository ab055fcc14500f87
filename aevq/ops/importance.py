"""The importance-weighted bound on log p(x) (Burda et al. 2015, arXiv:1509.00519, equation 8).

    log p(x) ≥ E[log 1/S Σ_s w_s],   w_s = p(x|z_s) p(z_s) / q(z_s|x),   z_s ~ q(z|x)

It is the ELBO for S = 1, tightens as S grows, and is exact where q is the true posterior.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def importance_bound(log_w: Tensor) -> Tensor:
    """Return log 1/S Σ_s w_s.

    Args:
        log_w: Log importance weights, `(S, B)`, nats.

    Returns:
        `(B,)`, nats, a lower bound of log p(x) in expectation.
    """
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def log_weights(
    mu: Tensor,
    log_var: Tensor,
    log_likelihood: Callable[[Tensor], Tensor],
    samples: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return log w_s = log p(x|z_s) + log p(z_s) − log q(z_s|x) for z_s ~ q(z|x) = N(μ, diag σ²).

    Args:
        mu: Means of q, `(B, D)`.
        log_var: Log variances of q, `(B, D)`.
        log_likelihood: Latents `(S, B, D)` → log p(x|z), `(S, B)`, nats.
        samples: S.
        generator: Source of the samples; the global one if None.

    Returns:
        `(S, B)`, nats.
    """
    epsilon = torch.empty(samples, *mu.shape, dtype=mu.dtype, device=mu.device).normal_(generator=generator)
    z = torch.addcmul(mu, (0.5 * log_var).exp(), epsilon)
    # log p(z) − log q(z|x): the constants cancel, and (z − μ)² / σ² is ε².
    return log_likelihood(z) + 0.5 * (epsilon.square() - z.square() + log_var).sum(-1)
