"""The diagonal Gaussian posterior of a VAE, q(z|x) = N(μ, diag σ²), given by μ and log σ², `(B, D)` each.

    log p(x) ≥ E[log 1/S Σ_s w_s],   w_s = p(x|z_s) p(z_s) / q(z_s|x),   z_s ~ q(z|x)

is the importance-weighted bound: the ELBO for S = 1, tighter as S grows, and exact where q is the true posterior.

Source: Kingma & Welling 2013, "Auto-Encoding Variational Bayes", arXiv:1312.6114, section 2.4 and appendix B; for the
bound Burda et al. 2015, arXiv:1509.00519, equation 8.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return z = μ + σ·ε with ε ~ N(0, I), a sample of q(z|x) through which the gradient flows: `(B, D)`."""
    epsilon = torch.empty_like(mu).normal_(generator=generator)
    return torch.addcmul(mu, (0.5 * log_var).exp(), epsilon)


def log_standard_normal(z: Tensor) -> Tensor:
    """Return log N(z; 0, I): `(…, D)` → `(…)`, nats."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)


def kl_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """Return D_KL(N(μ, diag σ²) ‖ N(0, I)) per dimension, ½ (μ² + σ² − 1 − log σ²): `(B, D)`, nats, never negative."""
    return 0.5 * (mu.square() + log_var.exp() - 1 - log_var)


def free_bits(kl: Tensor, minimum: float) -> Tensor:
    """Return Σ_d max(λ, mean over the batch of KL_d): the KL of a dimension is penalised only above λ nats.

    Args:
        kl: KL per dimension, `(B, D)`, nats.
        minimum: λ, nats per dimension.

    Returns:
        `(B,)`, nats per image, the same for each image; the plain sum over D where λ is 0.

    Source: Kingma et al. 2016, arXiv:1606.04934, section 6 (the groups are single dimensions here).
    """
    if minimum == 0:
        return kl.sum(1)
    return kl.mean(0).clamp(min=minimum).sum().expand(len(kl))


def importance_bound(log_w: Tensor) -> Tensor:
    """Return log 1/S Σ_s w_s of log weights, `(S, B)` → `(B,)`, nats: in expectation a lower bound of log p(x)."""
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def log_weights(
    mu: Tensor,
    log_var: Tensor,
    log_likelihood: Callable[[Tensor], Tensor],
    samples: int,
    generator: torch.Generator | None = None,
    log_prior: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Return log w_s = log p(x|z_s) + log p(z_s) − log q(z_s|x) for S samples z_s ~ q(z|x): `(S, B)`, nats.

    Args:
        mu: Means of q, `(B, D)`.
        log_var: Log variances of q, `(B, D)`.
        log_likelihood: Latents `(S, B, D)` → log p(x|z), `(S, B)`, nats.
        samples: Number of samples S.
        generator: Source of the samples; the global one if None.
        log_prior: Latents `(N, D)` → log p(z), `(N,)`, nats; None is N(0, I).
    """
    epsilon = torch.empty(samples, *mu.shape, dtype=mu.dtype, device=mu.device).normal_(generator=generator)
    z = torch.addcmul(mu, (0.5 * log_var).exp(), epsilon)
    # log N(z; 0, I) − log q(z|x): the constants cancel, and (z − μ)² / σ² is ε².
    log_w = log_likelihood(z) + 0.5 * (epsilon.square() - z.square() + log_var).sum(-1)
    if log_prior is None:
        return log_w
    return log_w + log_prior(z.flatten(0, 1)).view(z.shape[:2]) - log_standard_normal(z)
