"""What a latent is: the contract between a `LatentModel` and a `Prior`, which do not know each other.

A latent is either a vector `z ∈ R^D` (AE, VAE) or a grid of codes `z ∈ {0 … K−1}^{h×w}` (VQ-VAE). A model states
which by its `latent_spec`; a prior is built for a spec and refuses the other kind.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aevq.errors import UserError, expect, expect_int

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CodeSpec", "LatentSet", "LatentSpec", "VectorSpec", "spec_from_dict", "spec_to_dict"]


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
    """Encoded images, with the labels of the images: what a prior is fitted to.

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


def spec_to_dict(spec: LatentSpec) -> dict[str, int | str]:
    """A spec as plain values, for a file's header."""
    return {"kind": type(spec).__name__, **asdict(spec)}


def spec_from_dict(values: dict[str, int | str]) -> LatentSpec:
    """The inverse of `spec_to_dict`.

    Raises:
        UserError: If the kind is unknown or a value is missing.
    """
    kinds = {"VectorSpec": VectorSpec, "CodeSpec": CodeSpec}
    values = dict(values)
    try:
        return kinds[str(values.pop("kind"))](**{key: int(value) for key, value in values.items()})
    except (KeyError, TypeError) as error:
        raise UserError(f"latent spec: expected a VectorSpec or a CodeSpec, got {values!r}") from error
