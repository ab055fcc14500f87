"""Batches indexed from tensors that live on one device.

MNIST has 43 MB and fits on any device, so one `index_select` per step replaces worker processes, collation and copies.
The loader does not depend on images; the code grids of a VQ-VAE are loaded by it as well.

- The order is a pure function of (seed, epoch). Rank r of n takes every n-th row from the r-th on, so the batches of
  all ranks in one step are together the batch of a single process with n times the batch size.
- The randomness of a transform is a pure function of (seed, epoch, batch, rank).
- `state_dict` counts the batches that were yielded. Lightning asks for it after a step and does not prefetch from a
  loader that has a length, so this is the number of batches trained on.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from aevq.config.checks import PositiveInt, validate
from aevq.errors import UserError, expect

Transform = Callable[[tuple[Tensor, ...], int], tuple[Tensor, ...]]
"""Makes what the loader yields from the tensors of a batch and a seed that belongs to this batch alone."""


class DeviceLoader:
    """Iterates over tensors of equal length in batches.

    Each `iter()` is one epoch, also after an epoch that was left early. The first one after `load_state_dict` is the
    rest of the interrupted epoch. Lightning calls `iter()` twice at the start: the state changes at the first `next`.

    Args:
        tensors: Of equal length N, on one device.
        batch_size: Rows per batch and rank.
        seed: Seed of the order and of the transform.
        shuffle: Whether to draw a new order in each epoch, for training. Up to `world_size - 1` rows are then left out,
            different ones in each epoch, so that all ranks get equally many. Without it every row is yielded once, and
            ranks may differ by one row, and so by one batch: reduce after the loop, not inside.
        drop_last: Whether to leave out a last batch that is not full.
        rank: Rank of this process, of `world_size` processes.
        world_size: Number of processes.
        transform: Applied to every batch.
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
    ) -> None:
        expect(len({len(t) for t in tensors}) == 1, "tensors", "equal lengths", [len(t) for t in tensors])
        devices = sorted({str(t.device) for t in tensors})
        expect(len(devices) == 1, "tensors", "one device", devices)
        expect(0 <= rank < world_size, "rank", f"in [0, {world_size})", rank)
        self.tensors = tensors
        self.batch_size = validate("batch_size", batch_size, PositiveInt)
        self.seed, self.shuffle, self.drop_last = seed, shuffle, drop_last
        self.rank, self.world_size, self.transform = rank, world_size, transform
        self.batch_sampler = _EpochListener(self)
        self._epoch, self._position, self._resumed = 0, 0, False

    def __len__(self) -> int:
        """Return the number of batches of an epoch on this rank."""
        rows = len(range(self.rank, self._used_rows(), self.world_size))
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if self._position > 0 and not self._resumed:
            self.set_epoch(self._epoch + 1)
        self._resumed = False
        return self._batches()

    def set_epoch(self, epoch: int) -> None:
        """Let the next `iter()` be this epoch, from its start."""
        self._epoch, self._position, self._resumed = epoch, 0, False

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and the number of its batches already yielded; after the last batch, the next epoch."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next `iter()` continue from a saved state."""
        epoch, position = int(state_dict["epoch"]), int(state_dict["position"])
        if not 0 <= position < max(len(self), 1):
            raise UserError(
                f"cannot resume: the checkpoint is at batch {position} of an epoch that now has {len(self)}; "
                "use the data, batch size and number of processes of the interrupted run"
            )
        self._epoch, self._position, self._resumed = epoch, position, True

    def _used_rows(self) -> int:
        rows = len(self.tensors[0])
        return rows - rows % self.world_size if self.shuffle else rows

    def _batches(self) -> Iterator[tuple[Tensor, ...]]:
        epoch, rows = self._epoch, len(self.tensors[0])
        generator = torch.Generator().manual_seed(mix(self.seed, epoch))
        order = torch.randperm(rows, generator=generator) if self.shuffle else torch.arange(rows)
        order = order[self.rank : self._used_rows() : self.world_size].to(self.tensors[0].device)
        for number in range(self._position, len(self)):
            self._position += 1
            if self._position == len(self):
                self.set_epoch(epoch + 1)
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
            batch = tuple(tensor.index_select(0, chosen) for tensor in self.tensors)
            yield self.transform(batch, mix(self.seed, epoch, number, self.rank)) if self.transform else batch


class _EpochListener:
    """Receives the epoch at which Lightning starts, by the only call it makes: `batch_sampler.sampler.set_epoch`.

    Lightning does not restore the state of a loader from a checkpoint that was written between two epochs. A loader
    that has begun or was restored counts by itself: after a stop by `max_steps`, Lightning's count is one ahead.
    """

    def __init__(self, loader: DeviceLoader) -> None:
        self._loader, self.sampler = loader, self

    def set_epoch(self, epoch: int) -> None:
        if self._loader.state_dict() == {"epoch": 0, "position": 0}:
            self._loader.set_epoch(epoch)


def mix(*values: int) -> int:
    """Return a seed in `[0, 2^63)` that depends on each of the integers and on their order.

    The seeds of neighbouring values are unrelated. With `seed + epoch`, epoch 1 of seed 0 would be epoch 0 of seed 1.
    All bits are well mixed, which matters because torch's CPU generator uses only the lower 32 bits of a seed.

    Source: splitmix64; Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195.

    >>> mix(1, 2, 3)
    4906264314479254948
    """
    state = 0
    for value in values:
        state = _splitmix64(state ^ _splitmix64(value & _MASK))
    return state >> 1


_MASK = (1 << 64) - 1


def _splitmix64(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
