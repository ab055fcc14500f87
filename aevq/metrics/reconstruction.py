"""How close reconstructions are to their originals, over a whole split.

mse   mean over pixels and images of (x − x̂)²
l1    mean over pixels and images of |x − x̂|
psnr  10·log10(1 / mse), of the whole split at once, in dB
ssim  structural similarity (Wang et al. 2004), mean over images, by torchmetrics
cross_entropy  mean over images of Σ_pixels −x log x̂ − (1 − x) log(1 − x̂), nats; no likelihood where x is grey
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure as _ssim

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["reconstruction_metrics"]

HALF_A_GREY_LEVEL = 1 / 510  # nearer to 0 or 1 than this x̂ is not taken to be: one pixel would cost any number of nats


def reconstruction_metrics(x: Tensor, x_hat: Tensor) -> dict[str, float]:
    """Metrics of reconstructions.

    Args:
        x: Originals, `(N, C, H, W)` in [0, 1].
        x_hat: Reconstructions, of the same shape.

    Returns:
        `reconstruction/mse`, `/l1`, `/psnr` (dB; infinite where nothing differs), `/ssim` and `/cross_entropy` (nats
        per image).
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
        "reconstruction/cross_entropy": float(_cross_entropy(x, x_hat)) / len(x),
    }


def _cross_entropy(x: Tensor, x_hat: Tensor) -> Tensor:
    sure = x_hat.double().clamp(HALF_A_GREY_LEVEL, 1 - HALF_A_GREY_LEVEL)
    return F.binary_cross_entropy(sure, x.double(), reduction="sum")
