"""Collectives, and work shared among processes; with one process each of them is the identity.

Whether a process group exists is checked at each call, because a module is built before Lightning starts the group.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from aevq.nn.memory import halving

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes in the group; 1 without a group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def global_rank() -> int:
    """Return the rank of this process in the group; 0 without a group."""
    return distributed.get_rank() if world_size() > 1 else 0


def leave_group() -> None:
    """Leave the process group, if there is one.

    Otherwise threads of gloo that still run at exit sometimes abort the process (SIGABRT). Lightning destroys only
    groups of NCCL.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum over all ranks, in place; return the sum on every rank."""
    if world_size() > 1:
        distributed.all_reduce(x)
    return x


def all_reduce_max(x: Tensor) -> Tensor:
    """Take the maximum over all ranks, in place; return it on every rank."""
    if world_size() > 1:
        distributed.all_reduce(x, distributed.ReduceOp.MAX)
    return x


def broadcast_from_first(x: Tensor) -> Tensor:
    """Replace `x` on every rank by that of rank 0, in place; return it."""
    if world_size() > 1:
        distributed.broadcast(x, src=0)
    return x


def gather_objects(value: Any) -> list[Any]:
    """Return the values of all ranks, in the order of the ranks. For small objects: they are pickled."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


_sharing = False


@contextmanager
def sharing_chunks() -> Iterator[None]:
    """Let `map_chunks` share its work among the ranks; every rank has to enter this context and make the same calls."""
    global _sharing
    before, _sharing = _sharing, True
    try:
        yield
    finally:
        _sharing = before


def map_chunks(function: Callable[..., T], *chunks: Sequence[Any]) -> list[T]:
    """Return `list(map(function, *chunks))` for a function without randomness.

    Inside `sharing_chunks` rank r of n computes the chunks r, r + n, …, and all ranks get all results. The chunks are
    those of a single process, so the results are bit-identical.
    """
    ranks = world_size() if _sharing else 1
    items = list(zip(*chunks, strict=True))
    mine = [function(*item) for item in items[global_rank() if ranks > 1 else 0 :: ranks]]
    if ranks == 1:
        return mine
    parts = gather_objects(mine)
    return [parts[index % ranks][index // ranks] for index in range(len(items))]


def map_rows(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Return `function` of all rows of `x`, in chunks that the ranks share and that are halved if the memory is short.

    Args:
        function: Maps `(B, ...)` to `(B, ...)`; the result for a row must not depend on other rows.
        x: `(N, ...)`.
        size: Maximal number of rows in a chunk.

    Returns:
        `(N, ...)`, on the CPU.
    """
    return torch.cat(map_chunks(halving(function), x.split(size)))
