"""A backbone builds an encoder to a given latent shape, and the decoder from it.

A latent shape is `(D,)` for a vector or `(D, h, w)` for a grid. So the same `model/network=mlp|conv` serves every
model: a model says what comes out of its encoder, a backbone says how.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import nn
from typing_extensions import override

from aevq.config.checks import Configurable, PositiveInts

Shape = tuple[int, ...]
Activation = Literal["elu", "gelu", "leaky_relu", "relu", "silu", "tanh"]

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
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


class MLP(Backbone):
    """Image → fully connected hidden layers → latent, and back through the same widths in reverse order.

    Args:
        hidden: Widths of the encoder's hidden layers; the decoder mirrors them.
        activation: Name of the non-linearity between layers.
    """

    def __init__(self, hidden: PositiveInts = (512, 512), activation: Activation = "silu") -> None:
        self.hidden = hidden
        self.activation = ACTIVATIONS[activation]

    @override
    def encoder(self, image_shape: Shape, latent_shape: Shape) -> nn.Module:
        return self._stack(image_shape, self.hidden, latent_shape)

    @override
    def decoder(self, latent_shape: Shape, image_shape: Shape) -> nn.Module:
        return self._stack(latent_shape, self.hidden[::-1], image_shape)

    def _stack(self, shape_in: Shape, hidden: Sequence[int], shape_out: Shape) -> nn.Sequential:
        widths = [math.prod(shape_in), *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), self.activation()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(shape_out)), nn.Unflatten(1, shape_out))
