"""Fully connected encoder and decoder."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from aevq.config.checks import PositiveInts
from aevq.nn.backbone import Backbone, Shape, find_activation


class MLP(Backbone):
    """Image → hidden layers → latent, and back through the same widths in reverse order.

    Args:
        hidden: Widths of the encoder's hidden layers; the decoder mirrors them.
        activation: Name of the non-linearity between layers.

    Raises:
        UserError: If the activation is unknown.
    """

    def __init__(self, hidden: PositiveInts = (512, 512), activation: str = "silu") -> None:
        self.hidden = hidden
        self.activation = find_activation(activation)

    def encoder(self, image_shape: Shape, latent_shape: Shape) -> nn.Module:
        """Return a module `(B, C, H, W) → (B, *latent_shape)`."""
        return self._stack(image_shape, self.hidden, latent_shape)

    def decoder(self, latent_shape: Shape, image_shape: Shape) -> nn.Module:
        """Return a module `(B, *latent_shape) → (B, C, H, W)`."""
        return self._stack(latent_shape, self.hidden[::-1], image_shape)

    def _stack(self, shape_in: Shape, hidden: Sequence[int], shape_out: Shape) -> nn.Sequential:
        widths = [math.prod(shape_in), *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), self.activation()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(shape_out)), nn.Unflatten(1, shape_out))
