import os

import pytest

from aevq.errors import UserError
from aevq.sweeps.slots import plan_slots

CPU = {"accelerator": "cpu", "devices": 1}


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("aevq.sweeps.slots._memory_gib", lambda: 64)


def plan(n_jobs="auto", threads="auto", waiting=100, **trainer):
    return plan_slots(CPU | trainer, n_jobs, threads, waiting)


def test_each_core_gets_a_job_with_one_thread_and_fewer_jobs_get_more_threads_each():
    assert plan() == 8 * [{"OMP_NUM_THREADS": "1"}]
    assert plan(waiting=2) == 2 * [{"OMP_NUM_THREADS": "4"}]
    assert plan(3) == 3 * [{"OMP_NUM_THREADS": "2"}]
    assert plan(threads=5) == 8 * [{"OMP_NUM_THREADS": "5"}]


@pytest.mark.parametrize(("devices", "slots"), [(2, 4), (16, 1), ("auto", 8), (-1, 8), ([0], 8)])
def test_jobs_of_several_processes_divide_the_cores_among_these(devices, slots):
    assert plan(devices=devices) == slots * [{"OMP_NUM_THREADS": "1"}]


def test_memory_limits_the_jobs_at_once(monkeypatch):
    monkeypatch.setattr("aevq.sweeps.slots._memory_gib", lambda: 7)
    assert len(plan()) == 2


def test_gpus_are_divided_among_the_jobs(monkeypatch):
    def gpus(ids, *arguments, **trainer):
        monkeypatch.setattr("aevq.sweeps.slots._visible_gpus", lambda _: ids.split())
        return [slot["CUDA_VISIBLE_DEVICES"] for slot in plan(*arguments, accelerator="gpu", **trainer)]

    assert gpus("0 1 2") == ["0", "1", "2"]
    assert gpus("4 5 6 7", devices=2) == ["4,5", "6,7"]
    assert gpus("4 5", devices=-1) == ["4,5"]
    assert gpus("0 1", 4) == ["0", "1", "0", "1"]


def test_a_number_of_threads_set_by_the_user_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert plan() == 8 * [{}]
    assert plan(threads=5)[0] == {"OMP_NUM_THREADS": "5"}


@pytest.mark.parametrize("bad", [0, -1, "many", True, 1.5])
def test_a_bad_number_of_jobs_is_named(bad):
    with pytest.raises(UserError, match=r"hydra\.launcher\.n_jobs: should be auto or a positive integer, got"):
        plan(bad)
