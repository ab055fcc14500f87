"""How close reconstructions are to their originals, over a whole split.

mse   mean over pixels and images of (x − x̂)²
l1    mean over pixels and images of |x − x̂|
psnr  10·log10(1 / mse), of the whole split at once, in dB
ssim  structural similarity (Wang et al. 2004), mean over images, by torchmetrics
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torchmetrics.functional.image import structural_similarity_index_measure as _ssim

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["reconstruction_metrics"]


def reconstruction_metrics(x: Tensor, x_hat: Tensor) -> dict[str, float]:
    """Metrics of reconstructions.

    Args:
        x: Originals, `(N, C, H, W)` in [0, 1].
        x_hat: Reconstructions, of the same shape.

    Returns:
        `reconstruction/mse`, `/l1`, `/psnr` (dB; infinite where nothing differs) and `/ssim`.
    """
    error = (x_hat - x).double()
    mse = float(error.square().mean())
    chunks = zip(x.split(1000), x_hat.split(1000), strict=True)
    ssim = sum(float(_ssim(b, a, data_range=1.0, reduction="sum")) for a, b in chunks)  # type: ignore[misc, arg-type]
    return {
        "reconstruction/mse": mse,
        "reconstruction/l1": float(error.abs().mean()),
        "reconstruction/psnr": -10 * math.log10(mse) if mse > 0 else math.inf,
        "reconstruction/ssim": ssim / len(x),
    }
