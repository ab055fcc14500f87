"""Seconds of quantising, forward, backward and codebook update: ours and vector-quantize-pytorch, and how it grows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from vector_quantize_pytorch import VectorQuantize

from aevq.nn import EMAUpdate, VectorQuantizer
from experiments.benchmarks.timing import Row, alternate, compare

__all__ = ["growth", "quantizer_rows"]

VECTORS, DIM, CODES = 128 * 49, 64, 512
STEPS = 10


def quantizer_rows(repeats: int) -> Iterator[Row]:
    """Both with moving averages of decay 0.99, in training mode, of the same vectors."""
    z_e = torch.randn(128, 49, DIM)
    peer = VectorQuantize(dim=DIM, codebook_size=CODES, decay=0.99, commitment_weight=0.25).train()
    contenders = {
        "aevq": partial(_ours, VectorQuantizer(CODES, DIM, EMAUpdate(0.99)).train(), z_e),
        "vector-quantize-pytorch": partial(_theirs, peer, z_e),
    }
    rounds = list(alternate(contenders, repeats + 1))[1:]
    what = f"{VECTORS:,} vectors, D = {DIM}, K = {CODES}"
    yield from compare("quantiser", what, rounds, "step", {"vector-quantize-pytorch": 4.0})


def growth(repeats: int) -> dict[str, float]:
    """Exponents of the seconds in the number of vectors, in K and in D, by eight times as much of each; 1 is linear."""
    base = {"vectors": VECTORS, "codes": CODES, "dim": DIM}
    sizes = {"all": base} | {name: base | {name: 8 * base[name]} for name in base}
    measures = {name: partial(_seconds_of, **size) for name, size in sizes.items()}
    rounds = list(alternate(measures, repeats + 1))[1:]
    ratios = {name: sorted(each[name] / each["all"] for each in rounds)[len(rounds) // 2] for name in base}
    return {name: math.log(ratio, 8) for name, ratio in ratios.items()}


def _seconds_of(vectors: int, codes: int, dim: int) -> float:
    return _ours(VectorQuantizer(codes, dim, EMAUpdate(0.99)).train(), torch.randn(vectors, dim), steps=3)


def _ours(quantizer: VectorQuantizer, z_e: Tensor, steps: int = STEPS) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        z = z_e.clone().requires_grad_()
        quantized = quantizer(z)
        (quantized.z_q.square().mean() + 0.25 * quantized.commitment_loss.mean()).backward()
        quantizer.step()
    return (time.perf_counter() - start) / steps


def _theirs(quantizer: VectorQuantize, z_e: Tensor) -> float:
    start = time.perf_counter()
    for _ in range(STEPS):
        z = z_e.clone().requires_grad_()
        z_q, _, commitment = quantizer(z)
        (z_q.square().mean() + commitment.sum()).backward()
    return (time.perf_counter() - start) / STEPS
