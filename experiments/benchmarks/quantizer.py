"""Seconds of quantization, forward, backward and codebook update: aevq, vector-quantize-pytorch, and how they grow."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from aevq.nn import EMAUpdate, VectorQuantizer
from experiments.benchmarks.timing import Row, alternate, compare, seconds_of

__all__ = ["growth", "quantizer_rows"]

VECTORS, DIM, CODES = 128 * 49, 64, 512
PEER = "vector-quantize-pytorch"


def quantizer_rows(repeats: int, vectors: int = VECTORS) -> Iterator[Row]:
    """Yield the row of both quantizers, with moving averages of decay 0.99, in training mode, on the same vectors."""
    from vector_quantize_pytorch import VectorQuantize

    z_e = torch.randn(vectors // 49, 49, DIM)
    peer = VectorQuantize(dim=DIM, codebook_size=CODES, decay=0.99, commitment_weight=0.25).train()

    def peer_step() -> None:
        z_q, _, commitment = peer(z_e.clone().requires_grad_())
        (z_q.square().mean() + commitment.sum()).backward()

    measures = {"aevq": _step(CODES, z_e), PEER: partial(_seconds, peer_step)}
    what = f"{vectors:,} vectors, D = {DIM}, K = {CODES}"
    yield from compare("quantizer", what, list(alternate(measures, repeats, warmup=1)), "step", {PEER: 4.0})


def growth(repeats: int, vectors: int = VECTORS) -> dict[str, float]:
    """Return the exponents of the seconds in N, K and D, from eight times as much of each; 1 is linear growth."""
    base = {"N": vectors, "K": CODES, "D": DIM}
    sizes = {"all": base} | {name: base | {name: 8 * size} for name, size in base.items()}
    measures = {name: _step(size["K"], torch.randn(size["N"], size["D"]), 3) for name, size in sizes.items()}
    rounds = list(alternate(measures, repeats, warmup=1))
    return {name: math.log(statistics.median(each[name] / each["all"] for each in rounds), 8) for name in base}


def _step(codes: int, z_e: Tensor, steps: int = 10) -> Callable[[], float]:
    """Return what measures a step of our quantizer on these vectors `(..., D)`."""
    quantizer = VectorQuantizer(codes, z_e.shape[-1], EMAUpdate(0.99)).train()

    def step() -> None:
        quantized = quantizer(z_e.clone().requires_grad_())
        (quantized.z_q.square().mean() + 0.25 * quantized.commitment_loss.mean()).backward()
        quantizer.step()

    return partial(_seconds, step, steps)


def _seconds(step: Callable[[], None], steps: int = 10) -> float:
    return seconds_of(lambda: [step() for _ in range(steps)], steps)
