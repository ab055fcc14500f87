"""Precision, recall, density and coverage: quality and diversity apart, from nearest neighbours in feature space.

With r_k(v) the distance of v to its k-th nearest neighbour in its own set, and B(v) the ball of that radius:

    precision   share of samples that lie in B of some real image
    recall      share of real images that lie in B of some sample          Kynkäänniemi et al. 2019, arXiv:1904.06991
    density     mean over samples of (number of real balls they lie in) / k
    coverage    share of real balls that hold some sample                  Naeem et al. 2020, arXiv:2002.09797
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from aevq.errors import expect

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ManifoldScores", "manifold_scores", "nearest_distance"]

CHUNK = 1000


@dataclass(frozen=True)
class ManifoldScores:
    """Precision, recall and coverage in [0, 1]; density ≥ 0, near 1 for samples of the real distribution."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifold_scores(real: Tensor, samples: Tensor, k: int) -> ManifoldScores:
    """Scores of samples against real images.

    Args:
        real: Features of real images, `(N, F)`.
        samples: Features of samples, `(M, F)`.
        k: Which neighbour gives the radius, without the vector itself.

    Raises:
        UserError: If a set has not more than k vectors.
    """
    expect(min(len(real), len(samples)) > k, "k", f"less than both sets' sizes {len(real)}, {len(samples)}", k)
    real_radii, sample_radii = _radii(real, k), _radii(samples, k)
    balls_held = torch.zeros(len(samples), device=real.device)  # real balls that each sample lies in
    recalled, covered = [], []
    for chunk, radii in zip(real.split(CHUNK), real_radii.split(CHUNK), strict=True):
        distance = torch.cdist(chunk, samples)
        inside = distance <= radii[:, None]
        balls_held += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((distance <= sample_radii).any(1))
    return ManifoldScores(
        precision=float((balls_held > 0).float().mean()),
        recall=float(torch.cat(recalled).float().mean()),
        density=float(balls_held.mean() / k),
        coverage=float(torch.cat(covered).float().mean()),
    )


def nearest_distance(queries: Tensor, references: Tensor) -> Tensor:
    """Distance of each query to its nearest reference: `(N, F)` and `(M, F)` → `(N,)`."""
    return torch.cat([torch.cdist(chunk, references).amin(1) for chunk in queries.split(CHUNK)])


def _radii(features: Tensor, k: int) -> Tensor:
    """Distance of each vector to its k-th nearest neighbour; the vector itself is the zeroth."""
    return torch.cat([torch.cdist(chunk, features).kthvalue(k + 1).values for chunk in features.split(CHUNK)])
