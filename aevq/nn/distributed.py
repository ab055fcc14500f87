"""Collectives, and work shared among processes; with one process each of them is the identity.

Whether a process group exists is checked at each call, because a module is built before Lightning starts the group.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed

from aevq.errors import UserError
from aevq.nn.memory import by_chunks


def world_size() -> int:
    """Return the number of processes in the group; 1 without a group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def global_rank() -> int:
    """Return the rank of this process in the group; 0 without a group."""
    return distributed.get_rank() if world_size() > 1 else 0


def leave_group() -> None:
    """Leave the process group, if there is one: at exit its threads sometimes abort the process (SIGABRT).

    Lightning destroys only groups of NCCL.
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
    """Let `map_rows` share its work among the ranks; every rank has to enter this context and make the same calls."""
    with _sharing_set_to(True):
        yield


@contextmanager
def _sharing_set_to(value: bool) -> Iterator[None]:
    global _sharing
    before, _sharing = _sharing, value
    try:
        yield
    finally:
        _sharing = before


def map_rows(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Return `function` of all rows of `x`, in chunks that are halved if the memory is short; see `by_chunks`.

    Inside `sharing_chunks` rank r of n computes the chunks r, r + n, …, and all ranks get all results. The chunks are
    those of a single process, so the results are bit-identical; `function` must not be random. What `function` maps
    itself is not shared: the ranks call it for different chunks.

    Raises:
        UserError: On every rank, if `function` fails on one: otherwise their next results would be mixed up.
    """
    chunks, rank, ranks = x.split(size), global_rank() if _sharing else 0, world_size() if _sharing else 1
    own: Any
    try:
        with _sharing_set_to(False):
            own = [by_chunks(function, chunk, max(1, len(chunk))) for chunk in chunks[rank::ranks]]
    except Exception as error:
        if ranks == 1:
            raise
        own = f"rank {rank}: {type(error).__name__}: {error}"
    parts = gather_objects(own) if ranks > 1 else [own]
    if failed := [part for part in parts if isinstance(part, str)]:
        raise UserError("; ".join(failed))
    return torch.cat([parts[index % ranks][index // ranks] for index in range(len(chunks))])
