"""Losses and nearest codes are computed in float32 at least, whatever the networks are computed in.

Under autocast a network's outputs are bfloat16, with 8 significant bits: of a sum over 784 pixels too few are left, and
two codes at slightly different distances become one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["at_least_float32", "no_autocast"]


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32 if it is of half precision, else as it is."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def no_autocast(x: Tensor) -> torch.autocast:
    """A context in which operations on the device of `x` keep their precision."""
    return torch.autocast(x.device.type, enabled=False)
