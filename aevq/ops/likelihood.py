"""Negative log-likelihoods of an image, in nats, summed over its pixels; and nats as bits.

    Gaussian    −log p(x|z) = ‖x − μ‖² / 2σ² + n·(log σ + ½ log 2π)      the MSE, up to a scale and a constant
    Laplace     −log p(x|z) = ‖x − μ‖₁ / b   + n·log 2b                  the L1 loss
    Bernoulli   −log p(x|z) = −Σ x·log p + (1−x)·log(1−p)                a likelihood of binary x only

`n` is the number of pixels times channels. Each function takes `x` and one parameter per pixel as `(B, ...)`, and the
log of a scale that all pixels share as a scalar; it returns `(B,)`, nats per image.
"""

import math
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

Number = TypeVar("Number", float, Tensor)


def nats_to_bits(nats: Number) -> Number:
    """Return nats / ln 2."""
    return nats / math.log(2)


def gaussian_nll(x: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Return −log N(x; μ, σ²I)."""
    squared_error = (x - mu).square().flatten(1).sum(1)
    n = x[0].numel()
    return 0.5 * squared_error * (-2 * log_sigma).exp() + n * (log_sigma + 0.5 * math.log(2 * math.pi))


def laplace_nll(x: Tensor, mu: Tensor, log_scale: Tensor) -> Tensor:
    """Return −log Laplace(x; μ, b)."""
    absolute_error = (x - mu).abs().flatten(1).sum(1)
    n = x[0].numel()
    return absolute_error * (-log_scale).exp() + n * (log_scale + math.log(2))


def bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """Return −log Bernoulli(x; sigmoid(logits)); for grey `x` in (0, 1) it is a cross entropy, not a likelihood."""
    if logits.device.type == "cpu":
        nll: Tensor = _BernoulliOnCPU.apply(x.flatten(1), logits.flatten(1))
        return nll
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


class _BernoulliOnCPU(torch.autograd.Function):
    """Σ softplus(l) − x·l of each row, `(B, n)` → `(B,)`.

    torch's cross entropy spends its time in log1p, which is not vectorised; for a small network that is half of a
    training step. Here softplus(l) = max(l, 0) + log(1 + exp(−|l|)) is computed in place. The error of log, compared
    with log1p, is below 1e-7 per pixel. The gradient is sigmoid(l) − x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor) -> Tensor:
        ctx.save_for_backward(x, logits)
        tail = logits.abs().neg_().exp_().add_(1).log_()
        return tail.sum(1) + logits.clamp(min=0).sum(1) - torch.linalg.vecdot(x, logits)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor]:
        x, logits = ctx.saved_tensors
        gradient = gradients[0][:, None]
        of_x = -logits * gradient if ctx.needs_input_grad[0] else None
        return of_x, logits.sigmoid().sub_(x).mul_(gradient)
