"""The gated PixelCNN: an autoregressive network over a grid of codes.

    p(z) = ∏ᵢⱼ p(z_ij | z_<ij),   z_<ij: the rows above i, and row i left of j  (raster order)

Two stacks of convolutions read the two parts of that context. The vertical stack reads the rows above. The horizontal
stack reads the row to the left and the output of the vertical stack at the same position, so there is no blind spot.

Causality is ensured once, at the input: the vertical stack reads the embedded codes shifted down by one row, the
horizontal stack reads them shifted right by one column. After the shift, rows ≤ i of the input are rows < i of z. So
every layer is a plain convolution, padded only at the top and at the left, and no weights are masked.

Source: van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", arXiv:1606.05328.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def gate(x: Tensor) -> Tensor:
    """Return the gated activation `tanh(f) ⊙ σ(g)` of `x = [f, g]` (equation 2): `(B, 2C, h, w)` → `(B, C, h, w)`."""
    f, g = x.chunk(2, dim=1)
    return torch.tanh(f) * torch.sigmoid(g)


class GatedLayer(nn.Module):
    """One layer of both stacks, with the conditions added inside the gates (equation 4).

    The convolutions themselves do not pad their causal side. `forward` pads a whole grid with zeros. The sampler pads a
    row with the rows it has kept, and computes a single position of the horizontal convolution as a matrix product.

    The height of the vertical kernel, and the width of the horizontal kernel, is the reach `r = (kernel + 1) / 2`. The
    arguments are those of `GatedPixelCNN`.
    """

    def __init__(self, channels: int, kernel: int, num_conditions: int, dropout: float) -> None:
        super().__init__()
        self.reach = (kernel + 1) // 2
        self.vertical = nn.Conv2d(channels, 2 * channels, (self.reach, kernel), padding=(0, kernel // 2))
        self.horizontal = nn.Conv2d(channels, 2 * channels, (1, self.reach))
        self.vertical_to_horizontal = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.out = nn.Conv2d(channels, 2 * channels, 1)
        self.conditions = nn.Embedding(num_conditions, 4 * channels) if num_conditions else None
        self.dropout = nn.Dropout(dropout)

    def bias(self, conditions: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """Return the term of the conditions inside the vertical and the horizontal gate: `(B, 2C, 1, 1)` each, or 0."""
        if self.conditions is None or conditions is None:
            return 0.0, 0.0
        vertical, horizontal = self.conditions(conditions).sum(1)[:, :, None, None].chunk(2, dim=1)
        return vertical, horizontal

    def gate_inputs(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of the vertical and the horizontal gate: `(B, C, r − 1 + h, w)` → `(B, 2C, h, w)` each."""
        above = self.vertical(rows)
        return above, self.vertical_to_horizontal(above)

    def vertical_step(self, v: Tensor, above: Tensor, bias: Tensor | float) -> Tensor:
        """Return the output of the vertical stack, the gate plus the residual: `(B, C, h, w)`."""
        return v + self.dropout(gate(above + bias))

    def horizontal_step(self, columns: Tensor, above: Tensor, bias: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return the horizontal output and the skip connection: `(B, C, h, r − 1 + w)` → `(B, C, h, w)` each."""
        h = columns[..., self.reach - 1 :]
        residual, skip = self.out(self.dropout(gate(self.horizontal(columns) + above + bias))).chunk(2, dim=1)
        return h + residual, skip

    def forward(self, v: Tensor, h: Tensor, conditions: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Apply both stacks to a grid: return the next `v` and `h` and the skip connection, `(B, C, h, w)` each."""
        pad = self.reach - 1
        vertical_bias, horizontal_bias = self.bias(conditions)
        above, above_h = self.gate_inputs(F.pad(v, (0, 0, pad, 0)))
        h, skip = self.horizontal_step(F.pad(h, (pad, 0)), above_h, horizontal_bias)
        return self.vertical_step(v, above, vertical_bias), h, skip


class GatedPixelCNN(nn.Module):
    """The conditionals p(z_ij | z_<ij, conditions) of all positions of a grid.

    The context reaches `layers · (kernel − 1) / 2` columns to each side, and one more row up and column left. z_ij is
    modelled as independent of positions beyond it.

    Args:
        num_codes: Number of codes K.
        channels: Number of channels C of both stacks.
        layers: Number of gated layers.
        kernel: Odd width of the vertical kernel.
        num_conditions: Number of different conditions; 0 for an unconditional network.
        dropout: Probability with which the output of a gate is set to zero, in [0, 1).
    """

    def __init__(
        self,
        num_codes: int,
        channels: int,
        layers: int,
        kernel: int,
        num_conditions: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_codes, channels)
        self.layers = nn.ModuleList(GatedLayer(channels, kernel, num_conditions, dropout) for _ in range(layers))
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, num_codes, 1)
        )

    def embed(self, codes: Tensor) -> Tensor:
        """Return the embedded codes: int64 `(B, h, w)` → `(B, C, h, w)`."""
        return self.embedding(codes).permute(0, 3, 1, 2)

    def forward(self, codes: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return the logits of each position, given the codes before it.

        Args:
            codes: int64 `(B, h, w)` in `[0, K)`.
            conditions: int64 `(B, T)`; their embeddings are summed.

        Returns:
            Unnormalised log-probabilities, `(B, K, h, w)`, nats.
        """
        x = self.embed(codes)
        v = F.pad(x, (0, 0, 1, 0))[:, :, :-1]
        h = F.pad(x, (1, 0))[:, :, :, :-1]
        skips = torch.zeros_like(h)
        for layer in self.layers:
            v, h, skip = layer(v, h, conditions)
            skips = skips + skip
        return self.head(skips)
