"""The diagonal Gaussian posterior of a VAE, q(z|x) = N(μ, diag σ²), given by μ and log σ².

Source: Kingma & Welling 2013, "Auto-Encoding Variational Bayes", arXiv:1312.6114, section 2.4 and appendix B.
"""

import torch
from torch import Tensor


def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return z = μ + σ·ε with ε ~ N(0, I), a sample of q(z|x) through which the gradient flows.

    Args:
        mu: Means, `(B, D)`.
        log_var: Log variances, `(B, D)`.
        generator: Source of ε; the global one if None.

    Returns:
        `(B, D)`.
    """
    epsilon = torch.empty_like(mu).normal_(generator=generator)
    return torch.addcmul(mu, (0.5 * log_var).exp(), epsilon)


def kl_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """Return D_KL(N(μ, diag σ²) ‖ N(0, I)) per dimension, ½ (μ² + σ² − 1 − log σ²).

    Args:
        mu: Means, `(B, D)`.
        log_var: Log variances, `(B, D)`.

    Returns:
        `(B, D)`, nats, never negative; summed over D it is the KL of an image.
    """
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
