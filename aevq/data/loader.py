"""Batches indexed from tensors that live on one device.

MNIST is 43 MB: it fits on any device, and one `index_select` a step replaces worker processes, collation and
copies. The loader knows nothing of images; the code grids of a VQ-VAE go through it as well.

Laws:

- The order is a pure function of (seed, epoch). Rank r of n takes every n-th row from the r-th on, so the
  ranks' batches of one step, put together, are the batch a single process would see with n times the batch
  size.
- A transform's randomness is a pure function of (seed, epoch, batch, rank).
- `state_dict` counts the batches given out. Lightning asks for it after a step, and does not fetch ahead of a
  loader with a length, so that is the number of batches trained.
- Chunks (`aevq.data.chunks`) hold the very batches that would come one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from aevq.data.chunks import Chunk, Chunking
from aevq.data.seeding import mix
from aevq.errors import UserError, expect, expect_int

__all__ = ["DeviceLoader", "Transform"]

Transform = Callable[[tuple[Tensor, ...], int], tuple[Tensor, ...]]
"""A batch's tensors and a seed for this very batch → what the loader yields."""


class _EpochListener:
    """Hears at which epoch Lightning starts, in the only way it says so: `batch_sampler.sampler.set_epoch`.

    Needed because Lightning does not restore a loader's state from a checkpoint taken between two epochs. A
    loader that has begun, or was restored, counts for itself: Lightning's count is one ahead after a stop by
    `max_steps`.
    """

    def __init__(self, loader: DeviceLoader) -> None:
        self._loader = loader

    @property
    def sampler(self) -> _EpochListener:
        return self

    def set_epoch(self, epoch: int) -> None:
        if self._loader.untouched:
            self._loader.set_epoch(epoch)


class DeviceLoader:
    """Iterates over equally long tensors in batches.

    Each `iter()` is one epoch, also after one that was left early; the first after `load_state_dict` is the
    rest of the interrupted epoch. Nothing happens before the first `next`: Lightning calls `iter()` twice at
    the start.

    Args:
        tensors: Of equal length N, on one device.
        batch_size: Rows a batch and rank.
        seed: Of the order and of the transform.
        shuffle: For training. Up to `world_size - 1` rows an epoch are then left out, other ones each time,
            so that all ranks get equally many. Without it every row is given out once, and ranks may differ
            by one row (and so by one batch): reduce after the loop, not in it.
        drop_last: Leave out a last batch that is not full.
        rank: Of this process.
        world_size: Number of processes.
        transform: Applied to every batch; gets a seed of its own.
        chunking: Give out chunks of batches; None gives out batches.

    Raises:
        UserError: If lengths or devices differ, or a number is out of range.
    """

    def __init__(
        self,
        tensors: tuple[Tensor, ...],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
        transform: Transform | None = None,
        chunking: Chunking | None = None,
    ) -> None:
        expect(len({len(t) for t in tensors}) == 1, "tensors", "equal lengths", [len(t) for t in tensors])
        devices = sorted({str(t.device) for t in tensors})
        expect(len(devices) == 1, "tensors", "one device", devices)
        expect_int("batch_size", batch_size, 1)
        expect(0 <= rank < world_size, "rank", f"in [0, {world_size})", rank)
        self.tensors = tensors
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.rank = rank
        self.world_size = world_size
        self.transform = transform
        self.chunking = chunking
        self.batch_sampler = _EpochListener(self)
        self._epoch = 0
        self._position = 0
        self._given = 0
        self._resumed = False

    def __len__(self) -> int:
        """What an epoch on this rank gives out: batches, or chunks of them."""
        return self.chunking.count(self.batches) if self.chunking else self.batches

    @property
    def batches(self) -> int:
        """Batches an epoch on this rank."""
        rows = self._own_rows
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    @property
    def _own_rows(self) -> int:
        return len(range(self.rank, self._used_rows(), self.world_size))

    @property
    def untouched(self) -> bool:
        """Whether nothing was given out, nor any state loaded."""
        return (self._epoch, self._position) == (0, 0)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]] | Iterator[Chunk]:
        if self._position > 0 and not self._resumed:
            self.set_epoch(self._epoch + 1)
        self._resumed = False
        return self._chunks(self.chunking) if self.chunking else self._batches()

    def set_epoch(self, epoch: int) -> None:
        """Let the next `iter()` be this epoch, from its start."""
        self._epoch, self._position, self._given, self._resumed = epoch, 0, 0, False

    def state_dict(self) -> dict[str, int]:
        """The epoch and the batches of it given out, in how many of its chunks; after the last one, the next epoch."""
        state = {"epoch": self._epoch, "position": self._position}
        return state | {"chunk": self._given, "chunks": len(self)} if self.chunking else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next `iter()` go on from a saved state.

        Raises:
            UserError: If an epoch has not that many batches: data, batch size or number of processes are
            others.
        """
        epoch, position = int(state_dict["epoch"]), int(state_dict["position"])
        given, chunks = int(state_dict.get("chunk", position)), int(state_dict.get("chunks", self.batches))
        if not 0 <= position < max(self.batches, 1):
            raise UserError(
                f"cannot resume: the checkpoint is at batch {position} of an epoch that now has {self.batches}; "
                "expected the data, batch size and number of processes of the interrupted run"
            )
        if position > 0 and chunks != len(self):
            raise UserError(
                "cannot resume in the middle of an epoch: expected the steps_at_once and trainer.val_check_interval "
                "of the interrupted run"
            )
        self._epoch, self._position, self._given, self._resumed = epoch, position, given, True

    def _used_rows(self) -> int:
        rows = len(self.tensors[0])
        return rows - rows % self.world_size if self.shuffle else rows

    def _order(self, epoch: int) -> Tensor:
        """This rank's rows of an epoch, on the device of the tensors."""
        rows = len(self.tensors[0])
        if self.shuffle:
            order = torch.randperm(rows, generator=torch.Generator().manual_seed(mix(self.seed, epoch)))
        else:
            order = torch.arange(rows)
        return order[self.rank : self._used_rows() : self.world_size].to(self.tensors[0].device)

    def _batches(self) -> Iterator[tuple[Tensor, ...]]:
        draw, count = self._draw(), self.batches
        for number in range(self._position, count):
            self._advance(1, count)
            yield draw(number)

    def _chunks(self, chunking: Chunking) -> Iterator[Chunk]:
        draw, count, first_step = self._draw(), self.batches, self._epoch * self.batches
        position, given = self._position, self._given
        while position < count:
            size = chunking.next(first_step + position, count - position, len(self) - given)
            numbers = range(position, position + size)
            position, given = position + size, given + 1
            self._advance(size, count)
            yield Chunk(draw, numbers, self._rows(numbers))

    def _rows(self, numbers: range) -> int:
        """Rows of these batches together."""
        return min(numbers.stop * self.batch_size, self._own_rows) - numbers.start * self.batch_size

    def _advance(self, batches: int, count: int) -> None:
        """Take note that so many of an epoch's `count` batches are given out."""
        self._position, self._given = self._position + batches, self._given + 1
        if self._position == count:
            self.set_epoch(self._epoch + 1)

    def _draw(self) -> Callable[[int], tuple[Tensor, ...]]:
        """Makes the batch with a given number of this epoch."""
        epoch, order = self._epoch, self._order(self._epoch)

        def draw(number: int) -> tuple[Tensor, ...]:
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            batch = tuple(tensor.index_select(0, rows) for tensor in self.tensors)
            if self.transform is None:
                return batch
            return self.transform(batch, mix(self.seed, epoch, number, self.rank))

        return draw
