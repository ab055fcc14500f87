"""Functions of large inputs, computed in chunks that are halved if the memory is short."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from aevq.errors import UserError

log = logging.getLogger("aevq")


def by_chunks(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Return `function` of all rows of `x`, computed in chunks of at most `size` rows and joined on the CPU.

    The result for a row must not depend on other rows. If a chunk does not fit into the memory, this chunk and all
    later ones are halved, down to single rows.

    Raises:
        UserError: If a single row does not fit.
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
                reason = str(error).partition("\n")[0]
                raise UserError(f"out of memory, even for one image at a time ({reason})") from error
            size = max(1, size // 2)
            log.warning("out of memory: trying %d at a time", size)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
    return torch.cat(done)


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether the memory of a GPU or of the machine was short; for the latter torch has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
