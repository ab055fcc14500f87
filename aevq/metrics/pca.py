"""Principal components: the best linear autoencoder, and so the floor that stands beside an AE or a VAE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["pca_mse"]

CHUNK = 5000  # images in float64 at once


def pca_mse(train: Tensor, x: Tensor, components: int) -> float:
    """Mean squared error, over pixels and images, of a PCA fitted to `train`.

    Args:
        train: Images, `(N, C, H, W)`.
        x: Images to reconstruct, `(M, C, H, W)`.
        components: D.
    """
    mean = sum(chunk.double().sum(0) for chunk in train.flatten(1).split(CHUNK)) / len(train)
    scatter = train.new_zeros(len(mean), len(mean), dtype=torch.float64)
    for chunk in train.flatten(1).split(CHUNK):
        centred = chunk.double() - mean
        scatter.addmm_(centred.T, centred)
    basis = torch.linalg.eigh(scatter).eigenvectors[:, -components:]
    residual = x.flatten(1).double() - mean
    return float((residual - residual @ basis @ basis.T).square().mean())
