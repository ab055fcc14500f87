"""Principal components: the best linear autoencoder, and so the floor that stands beside an AE or a VAE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["pca_mse"]


def pca_mse(train: Tensor, x: Tensor, components: int) -> float:
    """Mean squared error, over pixels and images, of a PCA fitted to `train`.

    Args:
        train: Images, `(N, C, H, W)`.
        x: Images to reconstruct, `(M, C, H, W)`.
        components: D.
    """
    flat = train.flatten(1).double()
    mean = flat.mean(0)
    centred = flat - mean
    basis = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -components:]
    residual = x.flatten(1).double() - mean
    return float((residual - residual @ basis @ basis.T).square().mean())
