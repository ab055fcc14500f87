"""The two kinds of latents: the vocabulary that models, priors and metrics share.

A latent is either a vector `z ∈ R^D` (AE, VAE) or a grid of codes `z ∈ {0 … K−1}^{h×w}` (VQ-VAE). The `latent_spec` of
a model states which. A prior is built for a spec and refuses the other kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aevq.errors import expect_int

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class VectorSpec:
    """Continuous latents: float tensors `(B, dim)`."""

    dim: int

    def __post_init__(self) -> None:
        expect_int("dim", self.dim, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one latent."""
        return (self.dim,)


@dataclass(frozen=True)
class CodeSpec:
    """Discrete latents: int64 tensors `(B, height, width)` with values in `[0, num_codes)`."""

    num_codes: int
    height: int
    width: int

    def __post_init__(self) -> None:
        for name in ("num_codes", "height", "width"):
            expect_int(name, getattr(self, name), 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one latent."""
        return (self.height, self.width)


LatentSpec = VectorSpec | CodeSpec


@dataclass(frozen=True)
class LatentSet:
    """Encoded images and their labels, to which a prior is fitted.

    Attributes:
        train: Latents of the train split, `(N, *spec.shape)`, with their classes, int64 `(N,)`.
        val: Latents of the validation split, for early stopping, with their classes.
        codebook: The vector of each code, `(K, D)`, by which grids can be compared; None if codes have none.
    """

    train: Tensor
    train_labels: Tensor
    val: Tensor
    val_labels: Tensor
    codebook: Tensor | None = None
