"""A transformer over the codes of a grid, causal or bidirectional.

    x = embedding(code) + embedding(position) + Σ embedding(condition)
    x ← x + attention(norm(x)),   x ← x + MLP(norm(x))      in each layer
    logits = W norm(x)

Besides the K codes there is one more input, `blank`. The causal network reads blank, z_1, …, z_{n−1} and predicts
z_1, …, z_n; the bidirectional one predicts the codes that were replaced by blanks.

Source: Vaswani et al. 2017, arXiv:1706.03762, with the norms first as in GPT-2 (Radford et al. 2019).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass
class Cache:
    """Keys and values of the positions so far, `(B, heads, n, d)`, the first `length` of them known."""

    keys: Tensor
    values: Tensor
    length: int = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add one position, `(B, heads, 1, d)`, and return all known keys and values."""
        self.keys[:, :, self.length], self.values[:, :, self.length] = keys[:, :, 0], values[:, :, 0]
        self.length += 1
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


def attention(q: Tensor, k: Tensor, v: Tensor, is_causal: bool) -> Tensor:
    """Return softmax(q kᵀ / √d) v; on a CPU in float32: the backward pass in bfloat16 takes 18 times as long."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        q, k, v = q.float(), k.float(), v.float()
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)


class Layer(nn.Module):
    """Attention and an MLP; the arguments are those of `GridTransformer`."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, causal: bool, cache: Cache | None = None) -> Tensor:
        """Return the next `x`, `(B, n, width)`; with a cache, `x` is the next position only."""
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.append(k, v)
        attended = attention(q, k, v, causal and cache is None)
        x = x + self.dropout(self.out(attended.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp(self.norms[1](x)))


class GridTransformer(nn.Module):
    """The distributions of the codes at all positions of a grid.

    Args:
        num_codes: Number of codes K.
        num_positions: Number of positions n of a grid.
        width: Number of features of a position.
        layers: Number of layers.
        heads: Number of attention heads; divides `width`.
        num_conditions: Number of different conditions; 0 for an unconditional network.
        dropout: Probability with which an output of attention or MLP is set to zero, in [0, 1).
        causal: Whether a position sees only those before it.
    """

    def __init__(
        self,
        num_codes: int,
        num_positions: int,
        width: int,
        layers: int,
        heads: int,
        num_conditions: int = 0,
        dropout: float = 0.0,
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.blank, self.causal, self.heads = num_codes, causal, heads
        self.codes = nn.Embedding(num_codes + 1, width)
        self.positions = nn.Embedding(num_positions, width)
        self.conditions = nn.Embedding(num_conditions, width) if num_conditions else None
        self.layers = nn.ModuleList(Layer(width, heads, dropout) for _ in range(layers))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, num_codes))
        self.apply(self._initialize)

    def _initialize(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def embed(self, tokens: Tensor, conditions: Tensor, first: int = 0) -> Tensor:
        """Return the input at the positions from `first` on: int64 `(B, m)`, `(B, T)` → `(B, m, width)`."""
        x = self.codes(tokens) + self.positions.weight[first : first + tokens.shape[1]]
        return x if self.conditions is None else x + self.conditions(conditions).sum(1, keepdim=True)

    def forward(self, tokens: Tensor, conditions: Tensor) -> Tensor:
        """Return the logits of all positions.

        Args:
            tokens: Codes in raster order, int64 `(B, n)` in `[0, K)`, and blanks, K, in a bidirectional network.
            conditions: int64 `(B, T)`; their embeddings are summed. T may be 0.

        Returns:
            Unnormalised log-probabilities, `(B, n, K)`, nats. In a causal network those of a position depend only on
            the codes before it.
        """
        if self.causal:
            tokens = F.pad(tokens, (1, 0), value=self.blank)[:, :-1]
        x = self.embed(tokens, conditions)
        for layer in self.layers:
            x = layer(x, self.causal)
        return self.head(x)

    def new_caches(self, rows: int) -> list[Cache]:
        """Return an empty cache for each layer."""
        weight = self.positions.weight
        shape = (rows, self.heads, len(weight), weight.shape[1] // self.heads)
        return [Cache(weight.new_empty(shape), weight.new_empty(shape)) for _ in self.layers]

    def next_logits(self, token: Tensor, conditions: Tensor, caches: list[Cache]) -> Tensor:
        """Return the logits of the next position, given the code before it, or blank: `(B,)`, `(B, T)` → `(B, K)`."""
        x = self.embed(token[:, None], conditions, first=caches[0].length)
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, self.causal, cache)
        return self.head(x)[:, 0]
