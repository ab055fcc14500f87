import math

import pytest
import torch

from aevq.latents import CodeSpec, LatentSet
from aevq.priors import Marginals, PixelCNN, code_length

SMALL = {
    "channels": 4,
    "layers": 1,
    "kernel": 3,
    "dropout": 0.0,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "batch_size": 8,
    "max_steps": 2,
    "val_every_steps": 2,
    "patience": 1,
}


@pytest.fixture
def grids():
    torch.manual_seed(0)
    return torch.randint(4, (30, 2, 2)), torch.arange(30) % 12


def of_classes(num_classes):
    torch.manual_seed(0)
    return PixelCNN(CodeSpec(4, 2, 2), **SMALL, conditional=True, num_classes=num_classes).eval()


def test_a_prior_without_classes_is_asked_for_its_log_probability(grids):
    z, y = grids
    prior = Marginals(CodeSpec(4, 2, 2), pseudo_count=1.0)
    prior.fit(LatentSet(z, y, z, y))
    assert torch.equal(code_length(prior, z, y), -prior.log_prob(z))


def test_a_few_classes_are_summed_out(grids):
    z, y = grids
    prior = of_classes(3)
    assert code_length(prior, z, y % 3).allclose(-prior.log_prob(z), atol=1e-5)


def test_of_too_many_classes_the_class_is_sent_first(grids):
    z, y = grids
    prior = of_classes(12)
    nats = code_length(prior, z, y)
    assert nats.allclose(math.log(12) - prior.log_prob(z, y))
    assert (nats > -prior.log_prob(z)).all()
