"""How close reconstructions are to their originals, over a whole split.

mse   mean over pixels and images of (x − x̂)²
l1    mean over pixels and images of |x − x̂|
psnr  10·log10(1 / mse), of the whole split at once, in dB
ssim  structural similarity (Wang et al. 2004), mean over images, by torchmetrics
cross_entropy  mean over images of Σ_pixels −x log x̂ − (1 − x) log(1 − x̂), nats; not a likelihood if x is grey
sharpness      gradient energy of the reconstructions over that of the originals
fd             Fréchet distance of the reconstructions to the originals, in features of the feature net

Beside them stands `pca/mse`, of the best linear autoencoder with as many latent dimensions.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure as _ssim

from aevq.latents import VectorSpec
from aevq.metrics.generate import features_of
from aevq.metrics.subject import Subject
from aevq.ops.distance import frechet_distance, moments
from aevq.ops.image import gradient_energy

HALF_A_GREY_LEVEL = 1 / 510  # x̂ is kept this far from 0 and 1: one wrong pixel would cost any number of nats
SSIM_WINDOW = 11  # pixels
PCA_CHUNK = 5000  # images in float64 at once


def reconstruction_metrics(x: Tensor, x_hat: Tensor) -> dict[str, float]:
    """Return the metrics that need no network, of originals and reconstructions, `(N, C, H, W)` in [0, 1].

    `reconstruction/psnr` is infinite if nothing differs; `reconstruction/ssim` needs images of 11×11 pixels at least.
    """
    error = (x_hat - x).double()
    inside = x_hat.double().clamp(HALF_A_GREY_LEVEL, 1 - HALF_A_GREY_LEVEL)
    cross_entropy = float(F.binary_cross_entropy(inside, x.double(), reduction="sum"))
    mse = float(error.square().mean())
    chunks = zip(x.split(1000), x_hat.split(1000), strict=True) if min(x.shape[2:]) >= SSIM_WINDOW else ()
    ssims: list[Any] = [_ssim(b, a, data_range=1.0, reduction="sum") for a, b in chunks]
    return {
        "reconstruction/mse": mse,
        "reconstruction/l1": float(error.abs().mean()),
        "reconstruction/psnr": -10 * math.log10(mse) if mse > 0 else math.inf,
        **({"reconstruction/ssim": sum(map(float, ssims)) / len(x)} if ssims else {}),
        "reconstruction/cross_entropy": cross_entropy / len(x),
        "reconstruction/sharpness": float(gradient_energy(x_hat).mean() / gradient_energy(x).mean()),
    }


def pca_mse(train: Tensor, x: Tensor, components: int) -> float:
    """Return the mean squared error, over pixels and images, of `x` by a PCA with D components fitted to `train`."""
    mean = sum(chunk.double().sum(0) for chunk in train.flatten(1).split(PCA_CHUNK)) / len(train)
    scatter = train.new_zeros(len(mean), len(mean), dtype=torch.float64)
    for chunk in train.flatten(1).split(PCA_CHUNK):
        centred = chunk.double() - mean
        scatter.addmm_(centred.T, centred)
    basis = torch.linalg.eigh(scatter).eigenvectors[:, -components:]
    residual = x.flatten(1).double() - mean
    return float((residual - residual @ basis @ basis.T).square().mean())


def reconstruction(subject: Subject) -> dict[str, float]:
    """Measure what needs no network."""
    return reconstruction_metrics(subject.x, subject.x_hat)


def frechet(subject: Subject) -> dict[str, float]:
    """Measure `fd`, if samples are measured too."""
    if not subject.in_features:
        return {}
    a, b = moments(subject.features), moments(features_of(subject.feature_net, subject.x_hat))
    return {"reconstruction/fd": frechet_distance(a, b)}


def pca(subject: Subject) -> dict[str, float]:
    """Measure `pca/mse`, if the latents are vectors."""
    if not isinstance(subject.spec, VectorSpec):
        return {}
    return {"pca/mse": pca_mse(subject.data.images("train"), subject.x, subject.spec.dim)}
