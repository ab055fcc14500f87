"""The arithmetic of the benchmarks, and that what they call the naive sampler is what the cached one replaces."""

from __future__ import annotations

import torch

from aevq.nn import Bernoulli
from experiments.benchmarks import nll, sampling, timing


def test_contenders_alternate_and_ratios_are_of_pairs():
    seconds = {"ours": iter([1.0, 2.0, 10.0]), "theirs": iter([3.0, 4.0, 20.0])}
    order = []
    measures = {name: lambda name=name: order.append(name) or next(seconds[name]) for name in seconds}
    rounds = list(timing.alternate(measures, 3))
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    (row,) = timing.compare("part", "what", rounds, "step", {"theirs": 2.5})
    assert (row.ratio, row.low, row.high, row.target) == (2.0, 2.0, 3.0, 2.5)
    assert (row.ours, row.theirs) == (2.0, 4.0)


def test_both_samplers_draw_the_same_grids():
    assert sampling.equal_grids(5, 3, torch.float64) == 1.0


def test_the_naive_bound_is_the_batched_one(make_model, digits):
    model, x = make_model("vae").eval(), digits[:3]
    model.likelihood = Bernoulli()  # as the naive one's
    naive, batched = nll.image_by_image(model, x.round(), 5000), model.importance_nll(x.round(), 5000)
    torch.testing.assert_close(naive, batched, rtol=0.01, atol=0.5)
