"""Distances between two sets of feature vectors, those of samples and of real images.

    Fréchet   ‖μ_a − μ_b‖² + tr(C_a + C_b − 2(C_a C_b)^½)      Heusel et al. 2017, arXiv:1706.08500, equation 6
    kernel    unbiased MMD² with k(a, b) = (a·b / F + 1)³       Bińkowski et al. 2018, arXiv:1801.01401, section 3

Both are computed in float64. The Fréchet distance of N samples has an upward bias of about 1/N, so it is reported next
to that of real data: the distance of as many real train images.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Mean `(F,)` and unbiased covariance `(F, F)` of features, float64."""

    mean: Tensor
    covariance: Tensor


def moments(features: Tensor) -> Moments:
    """Return the mean and the covariance of features `(N, F)`, N ≥ 2."""
    features = features.double()
    return Moments(features.mean(0), torch.cov(features.T).reshape(features.shape[1], features.shape[1]))


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return the Fréchet distance of two normal distributions, in squared units of the features; 0 for equal moments.

    tr (C_a C_b)^½ is the sum of the roots of the eigenvalues of the symmetric C_a^½ C_b C_a^½. They are real and,
    except for rounding, not negative. So no root of a non-symmetric matrix is needed.
    """
    values, vectors = torch.linalg.eigh(a.covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
    difference = (a.mean - b.mean).square().sum()
    return float(difference + a.covariance.trace() + b.covariance.trace() - 2 * overlap)


def kernel_distance(a: Tensor, b: Tensor, subset: int, subsets: int, seed: int) -> float:
    """Return the unbiased MMD² with the cubic kernel; it is around 0 where both sets are from one distribution.

    Args:
        a: Features, `(N, F)`.
        b: Features, `(M, F)`.
        subset: Vectors drawn from each set for one estimate, at most min(N, M).
        subsets: Number of estimates, of which the mean is returned.
        seed: Seed of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    size = min(subset, len(a), len(b))
    estimates = []
    for _ in range(subsets):
        x = a[torch.randperm(len(a), generator=generator)[:size].to(a.device)].double()
        y = b[torch.randperm(len(b), generator=generator)[:size].to(b.device)].double()
        estimates.append(_mmd2(x, y))
    return float(torch.stack(estimates).mean())


def _mmd2(x: Tensor, y: Tensor) -> Tensor:
    """Return the unbiased MMD² of two sets of n vectors each: the two inner sums leave out the diagonals."""
    n = len(x)
    k_xx, k_yy, k_xy = _cubic(x, x), _cubic(y, y), _cubic(x, y)
    inner = (k_xx.sum() - k_xx.trace() + k_yy.sum() - k_yy.trace()) / (n * (n - 1))
    return inner - 2 * k_xy.mean()


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
