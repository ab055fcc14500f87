"""Two collectives that are the identity where there is one process.

Whether a process group exists is asked at each call: a module is built before Lightning starts the group.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed

__all__ = ["all_gather_batch", "all_reduce_sum"]


def _world_size() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def all_reduce_sum(x: Tensor) -> Tensor:
    """Σ over ranks, in place; every rank gets it."""
    if _world_size() > 1:
        distributed.all_reduce(x)
    return x


def all_gather_batch(x: Tensor) -> Tensor:
    """The batch of all ranks, `(B, ...) → (n·B, ...)`, in the order a single process would have seen.

    The loader deals images out in turn (rank r gets images r, r + n, …), so the ranks are interleaved again.
    """
    world_size = _world_size()
    if world_size == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(world_size)]
    distributed.all_gather(parts, x.contiguous())
    return torch.stack(parts, 1).flatten(0, 1)
