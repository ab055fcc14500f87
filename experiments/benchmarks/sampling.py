"""Seconds to draw code grids from a PixelCNN: with its cache, and running the network anew for each position.

Both invert the same conditionals at the same random numbers. In float64 the grids are compared code by code; in float32
rounding may move a conditional across a random number, so the share of equal grids is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from aevq.nn.pixelcnn import GatedPixelCNN
from aevq.nn.pixelcnn_sampler import inverse_cdf, sample_codes
from experiments.benchmarks.timing import Row, alternate, compare

__all__ = ["equal_grids", "naive", "sampling_rows"]

CODES = 256


def network(dtype: torch.dtype = torch.float32) -> GatedPixelCNN:
    """The default prior's, untrained: 6 gated layers of 64 channels over 256 codes."""
    torch.manual_seed(0)
    return GatedPixelCNN(CODES, channels=64, layers=6, kernel=3, num_classes=None, dropout=0.0).to(dtype).eval()


@torch.no_grad()
def naive(net: GatedPixelCNN, uniforms: Tensor) -> Tensor:
    """Grids by one pass of the network for each position: `(n, h, w)` random numbers → int64 codes."""
    codes = torch.zeros(uniforms.shape, dtype=torch.int64)
    for i in range(uniforms.shape[1]):
        for j in range(uniforms.shape[2]):
            codes[:, i, j] = inverse_cdf(net(codes)[:, :, i, j], uniforms[:, i, j])
    return codes


def sampling_rows(repeats: int) -> Iterator[Row]:
    """A row for 7×7 and one for 28×28 grids, of one pair: the slow way takes a minute and a half."""
    for side, grids, target, times in ((7, 64, 10.0, repeats), (28, 16, 50.0, 1)):
        net, uniforms = network(), _uniforms(grids, side)
        contenders = {
            "aevq": partial(_seconds, torch.no_grad()(partial(sample_codes, net)), uniforms),
            "once per position": partial(_seconds, partial(naive, net), uniforms),
        }
        rounds = list(alternate(contenders, times))
        yield from compare("sampling", f"{grids} grids of {side}×{side}", rounds, "grid", {"once per position": target})


def equal_grids(side: int, grids: int, dtype: torch.dtype) -> float:
    """Share of the grids that both ways draw alike."""
    net, uniforms = network(dtype), _uniforms(grids, side)
    with torch.no_grad():
        same = sample_codes(net, uniforms) == naive(net, uniforms)
    return same.flatten(1).all(1).double().mean().item()


def _uniforms(grids: int, side: int) -> Tensor:
    return torch.rand((grids, side, side), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def _seconds(draw: partial, uniforms: Tensor) -> float:  # type: ignore[type-arg]
    start = time.perf_counter()
    draw(uniforms)
    return (time.perf_counter() - start) / len(uniforms)
