"""The modes of stacked digits: each channel has a class, and the classes together form a mode.

    mode = Σ_c class_c · 10^(C−1−c)          for three channels 100·a + 10·b + c, one of 1,000

The number of modes in samples, and how uniform their frequencies are, measures mode collapse (Metz et al. 2017,
arXiv:1611.02163, section 3.3; Srivastava et al. 2017, "VEEGAN", arXiv:1705.07761, section 5.1).
"""

import math

import torch
from torch import Tensor

CLASSES = 10


def mode_of(classes: Tensor) -> Tensor:
    """Return the modes of the channels' classes: int64 `(N, C)` → int64 `(N,)`, in [0, 10^C)."""
    return (classes * _places(classes.shape[1], classes.device)).sum(1)


def classes_of(modes: Tensor, channels: int) -> Tensor:
    """Return the channels' classes of modes, the inverse of `mode_of`: int64 `(N,)` → int64 `(N, C)`."""
    return modes[:, None] // _places(channels, modes.device) % CLASSES


def modes_covered(modes: Tensor) -> int:
    """Return the number of different modes in `modes`, int64 `(N,)`."""
    return len(modes.unique())


def kl_to_uniform(modes: Tensor, total: int) -> float:
    """Return D_KL(p̂ ‖ uniform) = log total − H(p̂), nats, where p̂ are the frequencies of modes in [0, total).

    It is 0 if all modes are equally frequent and log total if there is only one. For N samples of the uniform
    distribution it is about (total − 1) / 2N, so it is reported next to that of as many real images.
    """
    share = torch.bincount(modes, minlength=total).double() / len(modes)
    return math.log(total) - float(torch.special.entr(share).sum())


def _places(channels: int, device: torch.device) -> Tensor:
    return CLASSES ** torch.arange(channels - 1, -1, -1, device=device)
