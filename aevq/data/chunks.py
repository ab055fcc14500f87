"""Several batches in one hand: the optimizer steps that Lightning takes at a time.

Lightning's own work for a batch (progress, hooks, profiler) costs about 0.4 ms, a tenth of a small network's step on a
CPU and most of one on a GPU. A `Chunk` of batches pays it once for all of them.

A chunk ends where something happens that Lightning does between two of its steps: at a validation, at the last step, at
the end of an epoch. So results do not depend on the size of the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Chunk", "Chunking"]

Batch = tuple[Tensor, ...]


class Chunk:
    """Batches that are drawn when they are iterated over, one at a time, in the memory of one batch.

    Args:
        draw: The batch with a given number within the epoch.
        numbers: Which ones.
        rows: How many rows they have together.
    """

    def __init__(self, draw: Callable[[int], Batch], numbers: range, rows: int) -> None:
        self._draw = draw
        self._numbers = numbers
        self.rows = rows

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._numbers)

    def __iter__(self) -> Iterator[Batch]:
        return map(self._draw, self._numbers)


@dataclass(frozen=True)
class Chunking:
    """How many batches make one chunk.

    Lightning wants equally many chunks in each epoch, and validations need not fall on the same batches of each. So
    there is one chunk more than full ones would need for each end that an epoch may hold, and where it holds fewer,
    the epoch's last chunks are shorter.

    Attributes:
        size: Batches in a chunk; more only where there would be too few chunks otherwise.
        every: Steps between two validations, each of which ends a chunk; None if they are at the ends of epochs.
        last: Steps of the whole training; None if it has no such limit.
    """

    size: int
    every: int | None = None
    last: int | None = None

    def count(self, batches: int) -> int:
        """Chunks in an epoch of so many batches."""
        validations = -(-batches // self.every) if self.every else 0
        return min(batches, -(-batches // self.size) + validations + (self.last is not None))

    def next(self, step: int, batches: int, chunks: int) -> int:
        """Batches of the next chunk.

        Args:
            step: Steps done since the training began.
            batches: Batches left in the epoch.
            chunks: Chunks left in the epoch, at least 1.
        """
        if chunks == 1:
            return batches
        cuts = [batches]
        if self.every:
            cuts.append(self.every - step % self.every)
        if self.last is not None and self.last > step:
            cuts.append(self.last - step)
        even = -(-batches // chunks)  # less would leave too much for the last ones
        return min(*cuts, max(self.size, even), batches - chunks + 1)
