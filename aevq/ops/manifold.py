"""Precision, recall, density and coverage: separate scores for quality and diversity, from nearest neighbours.

The balls are in feature space: B(v) has its centre at v, and its radius is the distance of v to its k-th nearest
neighbour in v's own set.

    precision   share of samples in the ball of at least one real image
    recall      share of real images in the ball of at least one sample     Kynkäänniemi et al. 2019, arXiv:1904.06991
    density     number of real images whose ball contains a sample, divided by k; mean over samples
    coverage    share of real images whose ball contains a sample           Naeem et al. 2020, arXiv:2002.09797
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from aevq.errors import expect

CHUNK = 1000


@dataclass(frozen=True)
class ManifoldScores:
    """Precision, recall and coverage in [0, 1]; density ≥ 0, near 1 for samples of the real distribution."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifold_scores(real: Tensor, samples: Tensor, k: int) -> ManifoldScores:
    """Return the scores of samples, features `(M, F)`, compared with real images, `(N, F)`.

    Raises:
        UserError: If a set has k vectors or fewer.
    """
    smaller = min(len(real), len(samples))
    expect(smaller > k, "k", f"less than {smaller}, the size of the smaller set", k)
    real_radii, sample_radii = _radii(real, k), _radii(samples, k)
    containing = torch.zeros(len(samples), device=real.device)  # number of real balls that contain each sample
    recalled, covered = [], []
    for chunk, radii in zip(real.split(CHUNK), real_radii.split(CHUNK), strict=True):
        distance = torch.cdist(chunk, samples)
        inside = distance <= radii[:, None]
        containing += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((distance <= sample_radii).any(1))
    return ManifoldScores(
        precision=float((containing > 0).float().mean()),
        recall=float(torch.cat(recalled).float().mean()),
        density=float(containing.mean() / k),
        coverage=float(torch.cat(covered).float().mean()),
    )


def nearest_distance(queries: Tensor, references: Tensor) -> Tensor:
    """Return the distance of each query to its nearest reference: `(N, F)` and `(M, F)` → `(N,)`."""
    return torch.cat([torch.cdist(chunk, references).amin(1) for chunk in queries.split(CHUNK)])


def _radii(features: Tensor, k: int) -> Tensor:
    """Return the distance of each vector to its k-th nearest neighbour; the vector itself is the zeroth."""
    return torch.cat([torch.cdist(chunk, features).kthvalue(k + 1).values for chunk in features.split(CHUNK)])
