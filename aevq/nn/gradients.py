"""Clipping of gradients, also where the optimizer is fused."""

from typing import Any

import pytorch_lightning as pl
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer


def scales_gradients(module: pl.LightningModule) -> bool:
    """Return whether the gradients of a module are scaled while its Trainer computes them, as in float16."""
    return getattr(module.trainer.precision_plugin, "scaler", None) is not None


def clip_gradients(module: pl.LightningModule, optimizer: Optimizer, largest: float | None, algorithm: Any) -> None:
    """Clip the gradients of a module to the norm `largest`, or each to [−largest, largest] if `algorithm` is `value`.

    Lightning refuses a fused optimizer, which unscales by itself, under bfloat16 too, where nothing is scaled.
    """
    if scales_gradients(module):
        module.clip_gradients(optimizer, largest, algorithm)
    elif largest:
        clip = clip_grad_value_ if algorithm == "value" else clip_grad_norm_
        clip(module.parameters(), largest)
