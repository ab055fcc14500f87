from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from aevq.data.chunks import Chunking
from aevq.data.loader import DeviceLoader
from aevq.errors import UserError

sizes = st.integers(1, 40)
intervals = st.one_of(st.none(), sizes)


def epoch(chunking: Chunking, batches: int, first_step: int) -> list[int]:
    """Sizes of an epoch's chunks."""
    left, found = batches, []
    for chunks in range(chunking.count(batches), 0, -1):
        found.append(chunking.next(first_step + batches - left, left, chunks))
        left -= found[-1]
    assert left == 0
    return found


@given(sizes, intervals, st.integers(1, 300), sizes, st.integers(0, 5))
def test_an_epoch_is_cut_at_every_validation_and_at_the_last_step(size, every, last, batches, number):
    first = number * batches
    chunks = epoch(Chunking(size, every, last), batches, first)
    ends = {first + sum(chunks[: i + 1]) for i in range(len(chunks))}
    assert min(chunks) >= 1
    assert max(chunks) <= size
    steps = range(first + 1, first + batches + 1)
    assert ends.issuperset(step for step in steps if (every and step % every == 0) or step == last)


@given(sizes, intervals, sizes)
def test_there_are_no_more_chunks_than_needed_for_the_worst_epoch(size, every, batches):
    full = -(-batches // size)
    assert full <= Chunking(size, every).count(batches) <= full + (-(-batches // every) if every else 0)


def loader(chunking=None, n=50, **changes):
    return DeviceLoader((torch.arange(n),), 3, seed=5, shuffle=True, chunking=chunking, **changes)


def rows(chunks) -> list[list[list[int]]]:
    return [[batch.tolist() for (batch,) in chunk] for chunk in chunks]


@given(sizes, intervals, st.booleans(), st.integers(3, 50))
def test_chunks_hold_the_batches_that_would_come_one_by_one(size, every, drop_last, n):
    one_by_one, chunked = loader(n=n, drop_last=drop_last), loader(Chunking(size, every), n=n, drop_last=drop_last)
    for _ in range(3):
        batches = [batch.tolist() for (batch,) in one_by_one]
        chunks = list(chunked)
        assert len(chunks) == len(chunked)
        assert [batch.tolist() for chunk in chunks for (batch,) in chunk] == batches
        assert sum(chunk.rows for chunk in chunks) == sum(len(batch) for batch in batches)


def test_a_batch_of_a_chunk_has_the_seed_that_it_would_have_alone():
    def draw(batch, seed):
        return (torch.tensor([seed]),)

    alone = [seed.item() for (seed,) in loader(transform=draw)]
    assert [seed.item() for chunk in loader(Chunking(4), transform=draw) for (seed,) in chunk] == alone


@given(st.integers(1, 6), intervals, st.integers(0, 12))
def test_chunks_go_on_where_they_stopped(size, every, taken):
    whole = rows(loader(Chunking(size, every)))
    assume(taken < len(whole))
    interrupted = loader(Chunking(size, every))
    iterator = iter(interrupted)
    for _ in range(taken):
        next(iterator)
    resumed = loader(Chunking(size, every))
    resumed.load_state_dict(interrupted.state_dict())
    assert rows(resumed) == whole[taken:]


@pytest.mark.parametrize("other", [None, Chunking(3, every=4), Chunking(2)])
def test_a_state_of_other_chunks_is_refused_in_the_middle_of_an_epoch_only(other):
    interrupted, middle = loader(Chunking(3)), loader(other)
    iterator = iter(interrupted)
    next(iterator)
    with pytest.raises(UserError, match="in the middle of an epoch"):
        middle.load_state_dict(interrupted.state_dict())
    list(iterator)
    middle.load_state_dict(interrupted.state_dict())
    assert middle.state_dict()["epoch"] == 1
