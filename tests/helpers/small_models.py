"""Models small enough to test with."""

from __future__ import annotations

from functools import partial

import torch

from aevq.models import AE, VAE, VQVAE
from aevq.nn import MLP, Conv, DeadCodeRestart, EMAUpdate, Gaussian

SHAPE = (1, 28, 28)


def small_model(name: str):
    """An untrained model of a few thousand parameters."""
    parts = {
        "likelihood": Gaussian(0.2),
        "optimizer": partial(torch.optim.AdamW, lr=1e-3),
    }
    mlp = MLP([64], "silu")
    if name == "ae":
        return AE(SHAPE, 4, mlp, **parts)
    if name == "vae":
        return VAE(SHAPE, 4, mlp, beta=1.0, kl_warmup_steps=0, free_bits=0.0, **parts)
    conv = Conv([4, 8], 0, "silu")
    restart = DeadCodeRestart(0.1, 5)
    return VQVAE(SHAPE, (7, 7), 16, 4, 0.25, conv, EMAUpdate(0.9), restart, "normal", **parts)
