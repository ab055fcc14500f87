import os

import pytest

from aevq.errors import UserError
from aevq.sweeps.slots import Slots


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("aevq.sweeps.slots._memory_gib", lambda: 64)


def test_on_a_cpu_there_is_a_place_a_core_and_one_thread_each():
    slots = Slots.plan("auto", "auto", 1, [], waiting=100)
    assert (slots.count, slots.threads, slots.gpus) == (8, 1, ())
    assert slots[3].environment == {"OMP_NUM_THREADS": "1"}


def test_fewer_jobs_get_more_threads_each():
    assert (Slots.plan("auto", "auto", 1, [], waiting=2).count, Slots.plan("auto", "auto", 1, [], 2).threads) == (2, 4)
    assert Slots.plan(3, "auto", 1, [], waiting=100).threads == 2
    assert Slots.plan("auto", 5, 1, [], waiting=100).threads == 5


def test_jobs_of_several_processes_share_the_cores_out_among_these():
    slots = Slots.plan("auto", "auto", 2, [], waiting=100)
    assert (slots.count, slots.threads) == (4, 1)


def test_memory_limits_the_jobs_at_once(monkeypatch):
    monkeypatch.setattr("aevq.sweeps.slots._memory_gib", lambda: 7)
    assert Slots.plan("auto", "auto", 1, [], waiting=100).count == 2


def test_gpus_are_handed_round():
    slots = Slots.plan("auto", "auto", 1, ["0", "1", "2"], waiting=100)
    assert [slots[i].environment["CUDA_VISIBLE_DEVICES"] for i in range(slots.count)] == ["0", "1", "2"]
    pairs = Slots.plan("auto", "auto", 2, ["4", "5", "6", "7"], waiting=100)
    assert [pairs[i].environment["CUDA_VISIBLE_DEVICES"] for i in range(pairs.count)] == ["4,5", "6,7"]
    shared = Slots.plan(4, "auto", 1, ["0", "1"], waiting=100)
    assert [shared[i].environment["CUDA_VISIBLE_DEVICES"] for i in range(4)] == ["0", "1", "0", "1"]


def test_a_users_own_number_of_threads_is_left_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert Slots.plan("auto", "auto", 1, [], waiting=100)[0].environment == {}


@pytest.mark.parametrize("bad", [0, -1, "many", True, 1.5])
def test_a_bad_number_of_jobs_is_named(bad):
    with pytest.raises(UserError, match=r"hydra\.launcher\.n_jobs: expected auto, or an integer ≥ 1"):
        Slots.plan(bad, "auto", 1, [], waiting=1)
