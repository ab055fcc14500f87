"""A network is a recipe: asked for a latent shape, it builds the encoder to it and the decoder from it.

A latent shape is `(D,)` for a vector or `(D, h, w)` for a grid. So the same `model/network=mlp|conv` serves every
model, and a model never says how its encoder looks, only what comes out of it.
"""

from __future__ import annotations

from typing import Protocol

from torch import nn

from aevq.config.schema import ImageShape
from aevq.errors import UserError, did_you_mean

__all__ = ["ImageShape", "Network", "Shape", "find_activation"]

Shape = tuple[int, ...]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Network(Protocol):
    """Builds an encoder and a decoder."""

    def encoder(self, image_shape: Shape, latent_shape: Shape) -> nn.Module:
        """A module `(B, C, H, W) → (B, *latent_shape)`."""

    def decoder(self, latent_shape: Shape, image_shape: Shape) -> nn.Module:
        """A module `(B, *latent_shape) → (B, C, H, W)`, raw outputs that a likelihood interprets."""


def find_activation(name: str) -> type[nn.Module]:
    """The activation of that name.

    Raises:
        UserError: If there is none.
    """
    if name not in ACTIVATIONS:
        raise UserError(f"model.network.activation: unknown {name!r}; {did_you_mean(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]
