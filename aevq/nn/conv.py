"""Convolutional encoder and decoder: strided 4×4 convolutions, each halving the sides, and residual blocks.

The encoder of the VQ-VAE paper (van den Oord et al. 2017, arXiv:1711.00937, section 4.1) has this form with
`channels=[256, 256]` and two residual blocks.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from typing_extensions import override

from aevq.config.checks import ArgumentError, NonNegativeInt, PositiveInts
from aevq.nn.backbone import ACTIVATIONS, Activation, Backbone, Shape

# sigmoid(−2) is 0.12; the mean pixel of MNIST is 0.13, of KMNIST 0.19, of Fashion-MNIST 0.29.
LOGIT_OF_MEAN = -2.0


class Conv(Backbone):
    """Image → one stride-2 convolution per entry of `channels` → residual blocks → latent, and back.

    A grid latent `(D, h, w)` comes from a 1×1 convolution, so `h = H / 2^len(channels)`; a vector `(D,)` from a linear
    layer.

    Args:
        channels: Output channels of the stride-2 convolutions.
        residual_blocks: Residual blocks of the encoder and of the decoder, at the lowest resolution.
        activation: Name of the non-linearity.
        decoder_residual_blocks: Residual blocks of the decoder, if their number differs. In a VQ-VAE blocks in the
            decoder reduce the error at nearly the same rate; blocks in the encoder raise the rate.
    """

    def __init__(
        self,
        channels: PositiveInts = (32, 64),
        residual_blocks: NonNegativeInt = 0,
        activation: Activation = "silu",
        decoder_residual_blocks: NonNegativeInt | None = None,
    ) -> None:
        self.channels = channels
        self.residual_blocks = residual_blocks
        self.decoder_residual_blocks = residual_blocks if decoder_residual_blocks is None else decoder_residual_blocks
        self.activation = ACTIVATIONS[activation]

    @override
    def encoder(self, image_shape: Shape, latent_shape: Shape) -> nn.Module:
        inner = self._inner_shape(image_shape, latent_shape)
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise((image_shape[0], *self.channels)):
            layers += [nn.Conv2d(c_in, c_out, 4, stride=2, padding=1), self.activation()]
        blocks = self._blocks(self.residual_blocks)
        return _with_memory_format(nn.Sequential(*layers, *blocks, *_from_grid(inner, latent_shape)), latent_shape)

    def decoder(self, latent_shape: Shape, image_shape: Shape) -> nn.Module:
        """Return a module `(B, *latent_shape) → (B, C, H, W)`; the output starts as the logit of a dark pixel."""
        inner = self._inner_shape(image_shape, latent_shape)
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise((*self.channels[::-1], image_shape[0])):
            layers += [self.activation(), last := nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1)]
        # If all pixels start at 0.5, they have to fall at once. At a learning rate of 0.004 they fell so far in the
        # first steps of some short trainings that the sigmoid had no gradient left: the images stayed black.
        assert last.bias is not None
        nn.init.constant_(last.bias, LOGIT_OF_MEAN)
        blocks = self._blocks(self.decoder_residual_blocks)
        return _with_memory_format(nn.Sequential(*_to_grid(latent_shape, inner), *blocks, *layers), latent_shape)

    def _inner_shape(self, image_shape: Shape, latent_shape: Shape) -> Shape:
        """Return the shape of the feature map at the lowest resolution, if both shapes fit."""
        factor = 2 ** len(self.channels)
        _, height, width = image_shape
        if height % factor or width % factor:
            problem = f"{len(self.channels)} halvings do not divide a {height}×{width} image"
            raise ArgumentError("network.channels", problem)
        inner = (self.channels[-1], height // factor, width // factor)
        if len(latent_shape) == 3 and latent_shape[1:] != inner[1:]:
            fitting = f"{inner[1]}×{inner[2]}, as network.channels halves {height}×{width} images"
            raise ArgumentError("grid", f"should be {fitting}, got {latent_shape[1]}×{latent_shape[2]}")
        return inner

    def _blocks(self, number: int) -> list[nn.Module]:
        return [ResidualBlock(self.channels[-1], self.activation) for _ in range(number)]


class ResidualBlock(nn.Module):
    """x + conv1×1(act(conv3×3(act(x)))): `(B, C, h, w) → (B, C, h, w)`; initially the identity."""

    def __init__(self, channels: int, act: type[nn.Module]) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            act(), nn.Conv2d(channels, channels, 3, padding=1), act(), last := nn.Conv2d(channels, channels, 1)
        )
        # From a random start two blocks in a row never recovered from the first steps at a learning rate of 0.004.
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


def _with_memory_format(network: nn.Sequential, latent_shape: Shape) -> nn.Sequential:
    # Channels last make a step of a VQ-VAE 1.08 times as fast on a CPU; with flat latents it would be 0.95 times.
    return network.to(memory_format=torch.channels_last) if len(latent_shape) == 3 else network


def _from_grid(inner: Shape, latent_shape: Shape) -> list[nn.Module]:
    if len(latent_shape) == 3:
        return [nn.Conv2d(inner[0], latent_shape[0], 1)]
    return [nn.Flatten(), nn.Linear(inner[0] * inner[1] * inner[2], latent_shape[0])]


def _to_grid(latent_shape: Shape, inner: Shape) -> list[nn.Module]:
    if len(latent_shape) == 3:
        return [nn.Conv2d(latent_shape[0], inner[0], 1)]
    return [nn.Linear(latent_shape[0], inner[0] * inner[1] * inner[2]), nn.Unflatten(1, inner)]
