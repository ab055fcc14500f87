"""Likelihoods p(x|z): what a decoder's output means, and −log p(x|z) of an image, in nats.

A likelihood maps the decoder's raw output to [0, 1], so that every image at the boundary of a model is in [0, 1]:
`nll(x, output)` scores an image, `mean(output)` is the image that is shown.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from typing_extensions import override

from aevq.config.checks import Configurable, PositiveFloat
from aevq.ops.likelihood import bernoulli_nll, gaussian_nll, laplace_nll
from aevq.ops.precision import at_least_float32, no_autocast


class Likelihood(Configurable, nn.Module, ABC):
    """p(x|z), given by a decoder's output of the shape of x.

    Attributes:
        for_binary_images: Whether it is only meant for images of zeros and ones.
    """

    for_binary_images: bool = False

    @abstractmethod
    def nll(self, x: Tensor, output: Tensor) -> Tensor:
        """Return −log p(x|z): images `(B, C, H, W)` in [0, 1] and decoder outputs → `(B,)`, nats per image."""

    def mean(self, output: Tensor) -> Tensor:
        """Return E[x|z]: decoder outputs `(B, C, H, W)` → images in [0, 1]; by default their sigmoid."""
        return at_least_float32(output).sigmoid()


class _LocationScale(Likelihood):
    """A location per pixel and one scale for all pixels, fixed or learned."""

    def __init__(self, scale: float, learned: bool) -> None:
        super().__init__()
        log_scale = torch.tensor(math.log(scale))
        if learned:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)


class Gaussian(_LocationScale):
    """N(x; sigmoid(output), σ²I): the mean squared error, with its scale made explicit.

    σ is the assumed pixel noise. A small σ asks for exact reconstructions, with a large one the KL of a VAE dominates.
    A learned σ converges to the root mean squared error (Rybkin et al. 2021, "Simple and effective VAE training with
    calibrated decoders", arXiv:2006.13202).

    Args:
        sigma: σ, in units of the pixel range [0, 1]; the initial value where it is learned.
        learned: Whether σ is trained.
    """

    def __init__(self, sigma: PositiveFloat = 0.2, learned: bool = False) -> None:
        super().__init__(sigma, learned)

    @override
    def nll(self, x: Tensor, output: Tensor) -> Tensor:
        with no_autocast(x):
            return gaussian_nll(x, self.mean(output), self.log_scale)


class Laplace(_LocationScale):
    """Laplace(x; sigmoid(output), b): the L1 loss, with its scale made explicit.

    Args:
        scale: b, in units of the pixel range [0, 1]; the initial value where it is learned.
        learned: Whether b is trained.
    """

    def __init__(self, scale: PositiveFloat = 0.1, learned: bool = False) -> None:
        super().__init__(scale, learned)

    @override
    def nll(self, x: Tensor, output: Tensor) -> Tensor:
        with no_autocast(x):
            return laplace_nll(x, self.mean(output), self.log_scale)


class Bernoulli(Likelihood):
    """Bernoulli(x; sigmoid(output)): a likelihood of binary images (`data.binarize`).

    On grey images the same formula is a cross entropy and no likelihood, so this use needs `grey=True`.

    Args:
        grey: Whether it is meant for grey images.
    """

    def __init__(self, grey: bool = False) -> None:
        super().__init__()
        self.for_binary_images = not grey

    @override
    def nll(self, x: Tensor, output: Tensor) -> Tensor:
        with no_autocast(x):
            return bernoulli_nll(x, at_least_float32(output))
