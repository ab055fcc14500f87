"""What fits into the memory: inputs in chunks, smaller ones where it is short; modules asked before they are built."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import torch
from torch import Tensor

from aevq.errors import UserError

__all__ = ["by_chunks", "check_size", "halving", "memory_for_weights"]

COPIES = 4  # of the weights while they are trained: themselves, their gradients, two moments of Adam

log = logging.getLogger("aevq")


def by_chunks(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """`function` of all rows of `x`, chunk by chunk, joined on the CPU.

    Where a chunk does not fit into the memory, it and all after it are halved, down to single rows; what `function`
    gives for a row must not depend on the others.

    Args:
        function: Of `(B, ...)`, gives `(B, ...)`.
        x: `(N, ...)`.
        size: Rows of a chunk, at most.

    Returns:
        `(N, ...)`.

    Raises:
        UserError: If not even a single row fits.
    """
    done: list[Tensor] = []
    row = 0
    while row < len(x) or not done:
        try:
            done.append(function(x[row : row + size]).cpu())
            row += size
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if size == 1:
                raise UserError(f"out of memory, even for one image at a time ({_reason(error)})") from error
            size = max(1, size // 2)
            log.warning("out of memory: going on with %d at a time", size)
        _give_back_memory()
    return torch.cat(done)


def halving(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """`function` of a chunk, of halves of it where the memory does not hold it; see `by_chunks`."""
    return lambda chunk: by_chunks(function, chunk, max(1, len(chunk)))


def _is_out_of_memory(error: BaseException) -> bool:
    """A GPU's memory, or the main one, of which torch says so in words only."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _reason(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _give_back_memory() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def check_size(make: Callable[[], torch.nn.Module], key: str, limit: int, what: str) -> None:
    """Refuse a module that would not fit, by building it without memory first.

    Args:
        make: Builds the module.
        key: Of its configuration.
        limit: Bytes that it may take.
        what: What the limit is, in words.

    Raises:
        UserError: If it needs more.
    """
    try:
        with torch.device("meta"):
            tensors = make().state_dict().values()
    except UserError:
        raise
    except Exception:  # a constructor that computes with its weights cannot be asked
        return
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors if torch.is_tensor(tensor))
    if size > limit:
        raise UserError(
            f"{key}: its weights need {size / 2**30:,.1f} GiB, expected at most {limit / 2**30:,.1f} ({what})"
        )


def memory_for_weights() -> tuple[int, str]:
    """Bytes of weights that this machine can train, and what that is in words."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 2**62, "unknown memory"
    gpus = [torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())]
    return max([memory, *gpus]) // COPIES, "a quarter of this machine's memory: there are gradients and moments too"
