"""Losses and nearest codes are computed in at least float32, whatever the precision of the networks.

Under autocast the outputs of a network are bfloat16, with 8 significant bits: too few for a sum over 784 pixels, and
two codes at slightly different distances become equal.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Return `x` in float32 if it is of half precision, else unchanged."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def no_autocast(x: Tensor) -> torch.autocast:
    """Return a context that disables autocast on the device of `x`."""
    return torch.autocast(x.device.type, enabled=False)


@contextmanager
def without_tf32() -> Iterator[None]:
    """Disable TF32, which has 11 significant bits, inside: a GPU then computes in float32."""
    matmul, convolution = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolution
