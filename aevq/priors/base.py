"""What a prior is: a density over latents that can be fitted to codes, sampled, and asked for a log probability.

A prior knows latents only, never the model that made them. It is built for a `LatentSpec` and refuses the other kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from aevq.errors import UserError
from aevq.latents import CodeSpec, LatentSet, LatentSpec, VectorSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Prior", "require_codes", "require_vectors"]


@runtime_checkable
class Prior(Protocol):
    """p(z). Every prior is also an `nn.Module`, so its parameters are its state."""

    spec: LatentSpec

    def fit(self, latents: LatentSet, **stage: Any) -> None:
        """Fit to encoded images.

        Args:
            latents: Latents of the train and the validation split.
            **stage: `make_trainer` and `resume_from` for a prior that is trained; the others need neither.
        """

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `n` latents, `(n, *spec.shape)`."""

    def log_prob(self, latents: Tensor) -> Tensor:
        """Log p(z): `(B, *spec.shape)` → `(B,)`, nats."""


def require_vectors(spec: LatentSpec, name: str) -> VectorSpec:
    """The spec, if it is one of vectors.

    Raises:
        UserError: If it is one of codes.
    """
    if not isinstance(spec, VectorSpec):
        raise UserError(
            f"prior {name}: expected latent vectors (AE, VAE), got {spec}; "
            "priors for code grids: uniform, marginals, pixelcnn"
        )
    return spec


def require_codes(spec: LatentSpec, name: str) -> CodeSpec:
    """The spec, if it is one of code grids.

    Raises:
        UserError: If it is one of vectors.
    """
    if not isinstance(spec, CodeSpec):
        raise UserError(
            f"prior {name}: expected code grids (VQ-VAE), got {spec}; "
            "priors for vectors: standard_normal, fitted_normal, mixture"
        )
    return spec
