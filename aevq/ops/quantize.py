"""Vector quantization: the nearest code, the straight-through gradient, and the start and the usage of a codebook.

All functions work on vectors `(..., D)`, independent of images or grids.

Source: van den Oord et al. 2017, "Neural Discrete Representation Learning", arXiv:1711.00937, section 3.
"""

import torch
from torch import Tensor

# Number of scores computed at once on a CPU, 4 MiB that stay in its cache. With eight times as many vectors or codes,
# computing all scores at once takes twice the time.
SCORES_ON_CPU = 2**20


def nearest_code(z_e: Tensor, codebook: Tensor) -> Tensor:
    """Return argmin_k ‖z_e − e_k‖ (equation 1): vectors `(..., D)` and codebook `(K, D)` → codes, int64 `(...)`.

    ‖z_e‖² is the same for all k and is left out: argmin_k ½‖e_k‖² − z_e·e_k, one matrix product.
    """
    # TF32, in which a GPU may multiply float32, has 11 significant bits: too few to tell near codes apart.
    dtype = torch.float64 if z_e.is_cuda else z_e.dtype
    codebook, vectors = codebook.to(dtype), z_e.reshape(-1, z_e.shape[-1]).to(dtype)
    half_norms = 0.5 * codebook.square().sum(1)
    at_once = max(1, SCORES_ON_CPU // len(codebook) if vectors.device.type == "cpu" else len(vectors))
    parts = vectors.split(at_once)
    codes = [torch.addmm(half_norms, part, codebook.t(), alpha=-1).argmin(1) for part in parts]
    return torch.cat(codes).view(z_e.shape[:-1])


def straight_through(z_e: Tensor, z_q: Tensor) -> Tensor:
    """Return z_e + sg[z_q − z_e] (section 3.2), the value of `z_q`: ∂/∂z_e is the identity, ∂/∂z_q is zero."""
    return z_e + (z_q - z_e).detach()


def code_counts(codes: Tensor, num_codes: int) -> Tensor:
    """Return how often each code occurs: int64 codes of any shape → float32 `(K,)`."""
    codes = codes.reshape(-1)
    # bincount would wait for the GPU to find the largest code.
    return codes.new_zeros(num_codes).scatter_add_(0, codes, torch.ones_like(codes)).float()


def code_sums(z_e: Tensor, codes: Tensor, num_codes: int) -> Tensor:
    """Return Σ of the vectors assigned to each code: `(..., D)` and int64 `(...)` → `(K, D)`."""
    vectors = z_e.reshape(-1, z_e.shape[-1])
    return vectors.new_zeros(num_codes, vectors.shape[1]).index_add_(0, codes.reshape(-1), vectors)


def perplexity(counts: Tensor) -> Tensor:
    """Return exp(−Σ_k p_k log p_k) with p = counts / Σ counts, the effective number of codes in use, from 1 to K.

    It is 0 if there were no codes. The perplexity of a batch depends on its size, so `counts`, `(K,)`, should be of a
    whole split.
    """
    total = counts.sum()
    p = counts / total.clamp(min=1)
    return torch.where(total > 0, torch.special.entr(p).sum().exp(), 0.0)


def usage(counts: Tensor) -> Tensor:
    """Return the share of the codes that occur at least once: `(K,)` → scalar in [0, 1]."""
    return (counts > 0).float().mean()


def kmeans(vectors: Tensor, num_centres: int, seed: int) -> Tensor:
    """Return K centres of a k-means of `(N, D)` vectors, or where N ≤ K the vectors, repeated: `(K, D)`, float32."""
    from sklearn.cluster import MiniBatchKMeans  # takes a second to import, and only training needs it

    points = vectors.detach().float().cpu()
    if len(points) <= num_centres:
        return points.repeat(-(-num_centres // len(points)), 1)[:num_centres].to(vectors.device)
    fitted = MiniBatchKMeans(num_centres, random_state=seed, n_init=1, max_iter=20).fit(points.numpy())
    return torch.as_tensor(fitted.cluster_centers_, dtype=torch.float32, device=vectors.device)
