import math

import pytest
import torch

from aevq.latents import CodeSpec, LatentSet
from aevq.priors import Marginals, PixelCNN, code_length

SPEC = CodeSpec(4, 2, 2)


@pytest.fixture
def grids():
    return torch.randint(4, (30, 2, 2)), torch.arange(30) % 12


def with_classes(num_classes):
    return PixelCNN(SPEC, channels=4, layers=1, conditional=True, num_classes=num_classes).eval()


def test_without_classes_it_is_the_negative_log_probability(grids):
    z, y = grids
    prior = Marginals(SPEC)
    prior.fit(LatentSet(z, y, z, y))
    assert torch.equal(code_length(prior, z, y), -prior.log_prob(z))


def test_a_few_classes_are_summed_over(grids):
    z, y = grids
    prior = with_classes(3)
    assert code_length(prior, z, y % 3).allclose(-prior.log_prob(z), atol=1e-5)


def test_with_too_many_classes_the_class_is_encoded_first(grids):
    z, y = grids
    prior = with_classes(12)
    nats = code_length(prior, z, y)
    assert nats.allclose(math.log(12) - prior.log_prob(z, y))
    assert (nats > -prior.log_prob(z)).all()
