from __future__ import annotations

from itertools import product

from aevq.data.seeding import mix


def test_neighbours_get_different_lower_halves():
    seeds = [mix(seed, epoch) & 0xFFFFFFFF for seed, epoch in product(range(40), range(40))]
    assert len(set(seeds)) == len(seeds)


def test_order_and_number_count():
    assert len({mix(1, 2), mix(2, 1), mix(1), mix(1, 2, 0), mix(0, 1, 2)}) == 5


def test_it_is_the_same_everywhere_and_fits_a_generator():
    assert mix(1, 2, 3) == 4906264314479254948
    assert 0 <= mix(2**63, 5) < 2**63
