"""What a latent is: the vocabulary that models, priors and metrics share.

A latent is either a vector `z ∈ R^D` (AE, VAE) or a grid of codes `z ∈ {0 … K−1}^{h×w}` (VQ-VAE). A model states which
by its `latent_spec`; a prior is built for a spec and refuses the other kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aevq.errors import expect, expect_int

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CodeSpec", "LatentSet", "LatentSpec", "VectorSpec"]


@dataclass(frozen=True)
class VectorSpec:
    """Continuous latents: float tensors `(B, dim)`."""

    dim: int

    def __post_init__(self) -> None:
        expect_int("latent dim", self.dim, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one latent."""
        return (self.dim,)


@dataclass(frozen=True)
class CodeSpec:
    """Discrete latents: int64 tensors `(B, height, width)` with values in `[0, num_codes)`."""

    num_codes: int
    height: int
    width: int

    def __post_init__(self) -> None:
        expect_int("num_codes", self.num_codes, 1)
        expect(min(self.height, self.width) >= 1, "code grid", "positive sides", (self.height, self.width))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one latent."""
        return (self.height, self.width)


LatentSpec = VectorSpec | CodeSpec


@dataclass(frozen=True)
class LatentSet:
    """Encoded images and their labels: what a prior is fitted to.

    Attributes:
        train: Latents of the train split, `(N, *spec.shape)`.
        train_labels: Their classes, int64 `(N,)`.
        val: Latents of the validation split, for early stopping, `(M, *spec.shape)`.
        val_labels: Their classes, int64 `(M,)`.
    """

    train: Tensor
    train_labels: Tensor
    val: Tensor
    val_labels: Tensor
