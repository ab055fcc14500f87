"""The arithmetic of the benchmarks, and that what they call the naive sampler is what the cached one replaces."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "experiments" / "speed"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in {path.stem for path in FOLDER.glob("*.py")} & set(sys.modules):
        del sys.modules[name]


def test_contenders_alternate_and_ratios_are_of_pairs(module):
    timing = module("timing")
    seconds = {"ours": iter([1.0, 2.0, 10.0]), "theirs": iter([3.0, 4.0, 20.0])}
    order = []
    measures = {name: lambda name=name: order.append(name) or next(seconds[name]) for name in seconds}
    rounds = list(timing.alternate(measures, 3))
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    (row,) = timing.compare("part", "what", rounds, "step", {"theirs": 2.5})
    assert (row.ratio, row.low, row.high, row.target) == (2.0, 2.0, 3.0, 2.5)
    assert (row.ours, row.theirs) == (2.0, 4.0)


def test_both_samplers_draw_the_same_grids(module):
    sampling = module("sampling")
    assert sampling.equal_grids(5, 3, torch.float64) == 1.0


def test_the_naive_bound_is_the_batched_one(module, make_model, digits):
    nll = module("nll")
    model, x = make_model("vae").eval(), digits[:3]
    # The likelihood of the naive one is a Bernoulli's.
    from aevq.nn import Bernoulli

    model.likelihood = Bernoulli()
    naive, batched = nll.image_by_image(model, x.round(), 5000), model.importance_nll(x.round(), 5000)
    torch.testing.assert_close(naive, batched, rtol=0.01, atol=0.5)
