"""Vector quantisation: nearest code, straight-through gradient, and how a codebook is used.

Everything works on vectors `(..., D)` and knows nothing of images or grids.

Source: van den Oord et al. 2017, "Neural Discrete Representation Learning", arXiv:1711.00937, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["code_counts", "code_sums", "nearest_code", "perplexity", "straight_through", "usage"]


# Scores that are held at once on a CPU, 4 MiB that stay in its cache: of eight times as many vectors or codes, all of
# them at once would take twice the time.
SCORES_ON_CPU = 2**20


def nearest_code(z_e: Tensor, codebook: Tensor) -> Tensor:
    """argmin_k ‖z_e − e_k‖ (equation 1).

    ‖z_e‖² is the same for all k and left out: argmin_k ½‖e_k‖² − z_e·e_k, one matrix product.

    Args:
        z_e: Encoder outputs, `(..., D)`.
        codebook: Code vectors, `(K, D)`.

    Returns:
        Codes, int64 `(...)`.
    """
    codebook = codebook.to(z_e.dtype)
    half_norms = 0.5 * codebook.square().sum(1)
    vectors = z_e.reshape(-1, z_e.shape[-1])
    at_once = max(1, SCORES_ON_CPU // len(codebook) if vectors.device.type == "cpu" else len(vectors))
    parts = vectors.split(at_once)
    codes = [torch.addmm(half_norms, part, codebook.t(), alpha=-1).argmin(1) for part in parts]
    return torch.cat(codes).view(z_e.shape[:-1])


def straight_through(z_e: Tensor, z_q: Tensor) -> Tensor:
    """The value of `z_q` with the gradient of `z_e`: z_e + sg[z_q − z_e] (section 3.2).

    Args:
        z_e: Encoder outputs, any shape.
        z_q: Their nearest codes, of the same shape.

    Returns:
        Of the same shape; ∂/∂z_e is the identity and ∂/∂z_q is zero.
    """
    return z_e + (z_q - z_e).detach()


def code_counts(codes: Tensor, num_codes: int) -> Tensor:
    """How often each code occurs: int64 codes of any shape → float32 `(K,)`."""
    codes = codes.reshape(-1)
    # Not bincount, which waits for the GPU to tell the largest code.
    return codes.new_zeros(num_codes).scatter_add_(0, codes, torch.ones_like(codes)).float()


def code_sums(z_e: Tensor, codes: Tensor, num_codes: int) -> Tensor:
    """Σ of the vectors assigned to each code: `(..., D)` and int64 `(...)` → `(K, D)`."""
    vectors = z_e.reshape(-1, z_e.shape[-1])
    return vectors.new_zeros(num_codes, vectors.shape[1]).index_add_(0, codes.reshape(-1), vectors)


def perplexity(counts: Tensor) -> Tensor:
    """exp(−Σ_k p_k log p_k) with p = counts / Σ counts: the number of codes in effective use, from 1 to K.

    Args:
        counts: Occurrences of each code over a whole split, `(K,)`. A batch's perplexity depends on its size.

    Returns:
        A scalar; 0 where there were no codes at all.
    """
    total = counts.sum()
    p = counts / total.clamp(min=1)
    return torch.where(total > 0, torch.special.entr(p).sum().exp(), 0.0)


def usage(counts: Tensor) -> Tensor:
    """Share of the codes that occur at least once: `(K,)` → scalar in [0, 1]."""
    return (counts > 0).float().mean()
