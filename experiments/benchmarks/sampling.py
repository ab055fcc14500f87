"""Seconds to sample code grids from a PixelCNN: with its cache, and running the network anew for each position.

Both invert the same conditionals at the same random numbers. In float64 the grids are compared code by code; in float32
rounding may move a conditional across a random number, so the share of identical grids is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from aevq.nn.pixelcnn import GatedPixelCNN
from aevq.nn.pixelcnn_sampler import inverse_cdf, sample_codes
from experiments.benchmarks.timing import Row, alternate, compare, seconds_of

__all__ = ["equal_grids", "naive", "sampling_rows"]

CODES = 256
NAIVE = "once per position"


def network(dtype: torch.dtype = torch.float32) -> GatedPixelCNN:
    """Return the network of the default prior, untrained: 6 gated layers of 64 channels over 256 codes."""
    torch.manual_seed(0)
    return GatedPixelCNN(CODES, channels=64, layers=6, kernel=3, num_classes=None, dropout=0.0).to(dtype).eval()


@torch.no_grad()
def cached(net: GatedPixelCNN, uniforms: Tensor) -> Tensor:
    """Sample grids by aevq's sampler: `(n, h, w)` random numbers → int64 codes."""
    return sample_codes(net, uniforms)


@torch.no_grad()
def naive(net: GatedPixelCNN, uniforms: Tensor) -> Tensor:
    """Sample grids by one pass of the network for each position: `(n, h, w)` random numbers → int64 codes."""
    codes = torch.zeros(uniforms.shape, dtype=torch.int64)
    for i in range(uniforms.shape[1]):
        for j in range(uniforms.shape[2]):
            codes[:, i, j] = inverse_cdf(net(codes)[:, :, i, j], uniforms[:, i, j])
    return codes


def sampling_row(side: int, grids: int, target: float, repeats: int) -> Row:
    """Return the row of so many grids of side×side codes."""
    net, uniforms = network(), _uniforms(grids, side)
    measures = {
        name: partial(seconds_of, partial(sampler, net, uniforms), grids)
        for name, sampler in (("aevq", cached), (NAIVE, naive))
    }
    rounds = list(alternate(measures, repeats))
    return compare("sampling", f"{grids} grids of {side}×{side}", rounds, "grid", {NAIVE: target})[0]


def sampling_rows(repeats: int) -> Iterator[Row]:
    """Yield a row for 7×7 grids and one for 28×28, of one pair: the slow way takes a minute and a half."""
    yield sampling_row(7, 64, 10.0, repeats)
    yield sampling_row(28, 16, 50.0, 1)


def equal_grids(side: int, grids: int, dtype: torch.dtype) -> float:
    """Return the share of the grids that are identical in both ways."""
    net, uniforms = network(dtype), _uniforms(grids, side)
    return (cached(net, uniforms) == naive(net, uniforms)).flatten(1).all(1).double().mean().item()


def _uniforms(grids: int, side: int) -> Tensor:
    return torch.rand((grids, side, side), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
