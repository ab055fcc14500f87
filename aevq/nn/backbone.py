"""A backbone builds an encoder to a given latent shape, and the decoder from it.

A latent shape is `(D,)` for a vector or `(D, h, w)` for a grid. So the same `model/network=mlp|conv` serves every
model: a model says what comes out of its encoder, a backbone says how.
"""

from abc import ABC, abstractmethod

from torch import nn

from aevq.config.checks import ArgumentError, Configurable
from aevq.errors import did_you_mean

Shape = tuple[int, ...]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Backbone(Configurable, ABC):
    """Builds the encoder and the decoder of a model."""

    @abstractmethod
    def encoder(self, image_shape: Shape, latent_shape: Shape) -> nn.Module:
        """Return a module `(B, C, H, W) → (B, *latent_shape)`."""

    @abstractmethod
    def decoder(self, latent_shape: Shape, image_shape: Shape) -> nn.Module:
        """Return a module `(B, *latent_shape) → (B, C, H, W)`, raw outputs that a likelihood interprets."""


def find_activation(name: str) -> type[nn.Module]:
    """Return the activation of that name.

    Raises:
        UserError: If there is none.
    """
    if name not in ACTIVATIONS:
        raise ArgumentError("activation", f"unknown {name!r}; {did_you_mean(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]
