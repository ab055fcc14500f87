"""Properties of single images."""

from torch import Tensor


def gradient_energy(x: Tensor) -> Tensor:
    """Return Σ of squared differences of neighbouring pixels, vertical and horizontal: `(B, C, H, W)` → `(B,)`.

    Blur reduces it.
    """
    return x.diff(dim=-2).square().flatten(1).sum(1) + x.diff(dim=-1).square().flatten(1).sum(1)


def is_binary(x: Tensor) -> bool:
    """Return whether all pixels are 0 or 1."""
    return bool(((x == 0) | (x == 1)).all())
