"""Sampling from a gated PixelCNN at about the cost of one forward pass over the grid.

The network gives all conditionals of a *known* grid at once, but a new grid is drawn one position at a time. To run the
whole network for each position takes h·w passes. Instead, each layer caches the last rows of its vertical input and the
last columns of its horizontal input. Then every position is computed once: the vertical stack row by row, the
horizontal stack position by position.

Source: van den Oord et al. 2016, arXiv:1606.05328 (the network); Ramachandran et al. 2017, "Fast Generation for
Convolutional Autoregressive Models", arXiv:1704.06001 (the cache).
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aevq.nn.pixelcnn import GatedLayer, GatedPixelCNN, gate
from aevq.ops.categorical import Draw


def as_linear(convolution: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    """Return a convolution at a single position, as a function of its whole input there: `(B, C·h·w)` → `(B, C')`.

    A matrix product computes the same in a third of the time.
    """
    return partial(F.linear, weight=convolution.weight.flatten(1), bias=convolution.bias)


class _CachedLayer:
    """One layer with the rows and columns that its next position needs as input."""

    def __init__(self, layer: GatedLayer, start_row: Tensor, conditions: Tensor | None) -> None:
        self.layer = layer
        self.bias_v, self.bias_h = layer.bias(conditions)
        self.rows = start_row.expand(-1, -1, layer.reach, -1)
        self.horizontal, self.out = as_linear(layer.horizontal), as_linear(layer.out)

    def next_row(self, v: Tensor) -> Tensor:
        """Return the next row of the vertical stack, `(B, C, 1, w)`, and let the horizontal stack start this row."""
        self.rows = torch.cat([self.rows[:, :, 1:], v], dim=2)
        above, above_h = self.layer.gate_inputs(self.rows)
        self.above_h = (above_h + self.bias_h)[:, :, 0].unbind(2)
        self.columns = torch.zeros_like(v[:, :, 0, :1]).expand(-1, -1, self.layer.reach)
        return self.layer.vertical_step(v, above, self.bias_v)

    def next_position(self, h: Tensor, j: int) -> tuple[Tensor, Tensor]:
        """Return the output of the horizontal stack and the skip connection at column j: `(B, C)` → `(B, C)` each."""
        self.columns = torch.cat([self.columns[:, :, 1:], h[:, :, None]], dim=2)
        gated = gate(self.horizontal(self.columns.flatten(1)) + self.above_h[j])
        residual, skip = self.out(gated).chunk(2, dim=1)
        return h + residual, skip


def sample_codes(network: GatedPixelCNN, draw: Draw, conditions: Tensor | None = None) -> Tensor:
    """Draw grids of codes, int64 `(B, h, w)`, position by position in raster order.

    Args:
        network: Gives the conditionals; it should be in eval mode.
        draw: Draws codes from logits; its random numbers are on the network's device.
        conditions: Of each grid, int64 `(draw.rows, T)`, if the network has any.
    """
    h, w = draw.uniforms.shape[1:]
    codes = torch.zeros(draw.rows, h, w, dtype=torch.int64, device=draw.uniforms.device)
    v = torch.zeros_like(network.embed(codes[:, :1]))
    start = torch.zeros_like(v[:, :, 0, 0])
    layers = [_CachedLayer(layer, v, conditions) for layer in cast("Iterable[GatedLayer]", network.layers)]
    head = [as_linear(part) if isinstance(part, nn.Conv2d) else part for part in network.head]
    for i, row in enumerate(codes.unbind(dim=1)):  # views: what is drawn is written into `codes`
        for layer in layers:
            v = layer.next_row(v)
        for j in range(w):
            h_ij = network.embedding(row[:, j - 1]) if j else start
            logits = torch.zeros_like(start)
            for layer in layers:
                h_ij, skip = layer.next_position(h_ij, j)
                logits = logits + skip
            for part in head:
                logits = part(logits)
            row[:, j] = draw.for_network(draw(logits, i * w + j))
        v = network.embed(row[:, None])
    return codes[: len(draw.uniforms)]
