"""Collectives that are the identity where there is one process.

Whether a process group exists is asked at each call: a module is built before Lightning starts the group.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, distributed

from aevq.nn.memory import halving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "all_reduce_max",
    "all_reduce_sum",
    "broadcast_from_first",
    "gather_objects",
    "global_rank",
    "leave_group",
    "map_chunks",
    "map_rows",
    "sharing_chunks",
    "world_size",
]

T = TypeVar("T")


def world_size() -> int:
    """Processes of the group; 1 without one."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def global_rank() -> int:
    """Number of this process in the group; 0 without one."""
    return distributed.get_rank() if world_size() > 1 else 0


def leave_group() -> None:
    """End this process's part in the group, if there is one.

    Threads of gloo that still run when a process exits abort it (SIGABRT), now and then; Lightning ends NCCL's group
    only.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def all_reduce_sum(x: Tensor) -> Tensor:
    """Σ over ranks, in place; every rank gets it."""
    if world_size() > 1:
        distributed.all_reduce(x)
    return x


def all_reduce_max(x: Tensor) -> Tensor:
    """Maximum over ranks, in place; every rank gets it."""
    if world_size() > 1:
        distributed.all_reduce(x, distributed.ReduceOp.MAX)
    return x


def broadcast_from_first(x: Tensor) -> Tensor:
    """What rank 0 has, in place; every rank gets it."""
    if world_size() > 1:
        distributed.broadcast(x, src=0)
    return x


def gather_objects(value: Any) -> list[Any]:
    """What each rank has, by rank; every rank gets it. For small things: they are pickled."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


_sharing = False


@contextmanager
def sharing_chunks() -> Iterator[None]:
    """Let `map_chunks` divide its work among the ranks inside; every rank must come here and do the same."""
    global _sharing
    before, _sharing = _sharing, True
    try:
        yield
    finally:
        _sharing = before


def map_chunks(function: Callable[..., T], *chunks: Sequence[Any]) -> list[T]:
    """`list(map(function, *chunks))`, of a function without randomness.

    Inside `sharing_chunks` rank r of n computes every n-th chunk from the r-th on, and all ranks get all results. The
    chunks are the same as in one process, and so are the results, bit by bit.
    """
    ranks = world_size() if _sharing else 1
    items = list(zip(*chunks, strict=True))
    mine = [function(*item) for item in items[global_rank() if ranks > 1 else 0 :: ranks]]
    if ranks == 1:
        return mine
    parts = gather_objects(mine)
    return [parts[index % ranks][index // ranks] for index in range(len(items))]


def map_rows(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """`function` of all rows of `x`, in chunks that the ranks share and that are halved where the memory is short.

    Args:
        function: Of `(B, ...)`, gives `(B, ...)`; what it gives for a row must not depend on the others.
        x: `(N, ...)`.
        size: Rows of a chunk, at most.

    Returns:
        `(N, ...)`, on the CPU.
    """
    return torch.cat(map_chunks(halving(function), x.split(size)))
