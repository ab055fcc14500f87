from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aevq.data.loader import DeviceLoader, mix
from aevq.errors import UserError

sizes = st.integers(1, 40)


def rows(loader) -> list[list[int]]:
    return [batch.tolist() for (batch,) in loader]


def train_loader(n=10, batch_size=3, **changes):
    return DeviceLoader((torch.arange(n),), batch_size, **{"seed": 5, "shuffle": True, **changes})


def test_order_is_a_pure_function_of_seed_and_epoch():
    first, second = train_loader(), train_loader()
    epochs = [rows(first) for _ in range(3)]
    assert epochs == [rows(second) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert rows(train_loader(seed=6)) != epochs[0]
    second.set_epoch(1)
    assert rows(second) == epochs[1]


def test_the_order_is_the_same_everywhere():
    """If this fails, no earlier run can be repeated."""
    assert rows(train_loader()) == [[8, 7, 5], [4, 6, 9], [0, 3, 2], [1]]


def test_it_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    rows(train_loader())
    assert torch.equal(before, torch.get_rng_state())


@given(sizes, sizes, st.booleans(), st.booleans())
def test_an_epoch_holds_every_row_once(n, batch_size, shuffle, drop_last):
    loader = train_loader(n, batch_size, shuffle=shuffle, drop_last=drop_last)
    batches = rows(loader)
    flat = [row for batch in batches for row in batch]
    assert len(batches) == len(loader)
    assert len(set(flat)) == len(flat) == (n - n % batch_size if drop_last else n)
    assert all(len(batch) == batch_size for batch in batches[:-1])


@given(sizes, st.integers(1, 8), st.integers(1, 4), st.booleans(), st.booleans())
def test_ranks_together_are_the_single_process(n, batch_size, world_size, shuffle, drop_last):
    n -= n % world_size  # else the single process has a few rows more, which no equal shares could hold
    options = {"shuffle": shuffle, "drop_last": drop_last}
    ranks = [rows(train_loader(n, batch_size, rank=r, world_size=world_size, **options)) for r in range(world_size)]
    joined = [torch.tensor(step).T.flatten().tolist() for step in zip(*ranks, strict=True)]
    assert joined == rows(train_loader(n, batch_size * world_size, **options))


@given(sizes, st.integers(1, 8), st.integers(1, 4), st.booleans())
def test_ranks_get_equally_many_rows_in_training_and_together_all_in_evaluation(n, batch_size, world_size, training):
    options = {"world_size": world_size, "shuffle": training}
    ranks = [rows(train_loader(n, batch_size, rank=r, **options)) for r in range(world_size)]
    flat = [row for batches in ranks for batch in batches for row in batch]
    assert len(set(flat)) == len(flat) == (n - n % world_size if training else n)
    assert not training or len({tuple(map(len, batches)) for batches in ranks}) == 1


@pytest.mark.parametrize("taken", range(9))
def test_resume_continues_where_it_stopped(taken):
    whole = train_loader()
    stream = [batch for _ in range(4) for batch in rows(whole)]
    interrupted = train_loader()
    iterator = iter(interrupted)
    for _ in range(taken):
        try:
            next(iterator)
        except StopIteration:
            iterator = iter(interrupted)
            next(iterator)
    resumed = train_loader()
    resumed.load_state_dict(interrupted.state_dict())
    rest = rows(resumed)
    assert len(rest) == 4 - taken % 4
    assert rest + rows(resumed) == stream[taken : taken + len(rest) + 4]


def test_iter_does_nothing_before_next():
    loader = train_loader()
    iter(loader)
    assert loader.state_dict() == {"epoch": 0, "position": 0}
    assert rows(loader) == rows(train_loader())


def test_an_epoch_left_early_is_over():
    loader, whole = train_loader(), train_loader()
    next(iter(loader))
    rows(whole)
    assert rows(loader) == rows(whole)


def test_a_state_of_other_data_is_refused():
    with pytest.raises(UserError, match="batch 7 of an epoch that now has 4"):
        train_loader().load_state_dict({"epoch": 1, "position": 7})


def test_a_batch_has_its_own_seed_whenever_it_comes():
    def seeds(loader):
        return [seed for (seed,) in loader]

    def loader(**changes):
        return train_loader(transform=lambda batch, seed: (seed,), **changes)

    one = loader()
    all_seeds = seeds(one) + seeds(one) + seeds(loader(seed=6)) + seeds(loader(rank=1, world_size=2))
    assert len(set(all_seeds)) == len(all_seeds)
    resumed = loader()
    resumed.load_state_dict({"epoch": 1, "position": 2})
    assert seeds(resumed) == all_seeds[6:8]


def test_several_tensors_stay_together():
    x = torch.arange(10)
    for a, b in DeviceLoader((x, x.float() * 2), 3, shuffle=True):
        assert torch.equal(a * 2, b.long())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size: should be greater than 0, got 0"),
        ({"rank": 2, "world_size": 2}, r"rank: expected in \[0, 2\), got 2"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(UserError, match=message):
        train_loader(**changes)


def test_unequal_lengths_are_refused():
    with pytest.raises(UserError, match="equal lengths"):
        DeviceLoader((torch.arange(3), torch.arange(4)), 2)


def test_mixed_seeds_of_neighbours_differ_in_their_lower_halves():
    seeds = [mix(seed, epoch) & 0xFFFFFFFF for seed, epoch in product(range(40), range(40))]
    assert len(set(seeds)) == len(seeds)


def test_a_mixed_seed_depends_on_order_and_number_and_is_the_same_everywhere():
    assert len({mix(1, 2), mix(2, 1), mix(1), mix(1, 2, 0), mix(0, 1, 2)}) == 5
    assert mix(1, 2, 3) == 4906264314479254948
    assert 0 <= mix(2**63, 5) < 2**63
