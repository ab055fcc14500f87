"""A class-conditional prior whose train latents lack a class: that class is neither drawn nor averaged in."""

import pytest
import torch

from aevq.latents import CodeSpec, LatentSet
from aevq.priors import PixelCNN

SPEC, CLASSES = CodeSpec(3, 2, 2), 4


@pytest.fixture(scope="module")
def prior():
    """Half of the grids are of class 0, a quarter each of classes 1 and 2, none of class 3; class y likes code y."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 0, 1, 2]).repeat(160)
    codes = torch.where(
        torch.rand((640, 2, 2), generator=generator) < 0.7,
        labels[:, None, None],
        torch.randint(3, (640, 2, 2), generator=generator),
    )
    # Without clusters the density is normalised, and so the frequencies of samples are the probabilities.
    training = {"num_clusters": 0, "max_steps": 60, "val_every_steps": 60, "learning_rate": 1e-2}
    found = PixelCNN(SPEC, 8, 2, conditional=True, num_classes=CLASSES, **training)
    found.fit(LatentSet(codes, labels, codes[:64], labels[:64]))
    return found


def all_grids():
    return torch.cartesian_prod(*[torch.arange(3)] * 4).view(-1, 2, 2)


def of_class(prior, y):
    return prior.log_prob(all_grids(), torch.full((81,), y)).exp()


def of_train_split(prior):
    return 0.5 * of_class(prior, 0) + 0.25 * of_class(prior, 1) + 0.25 * of_class(prior, 2)


def test_the_density_averages_over_the_classes_of_the_train_split(prior):
    torch.testing.assert_close(prior.log_prob(all_grids()).exp(), of_train_split(prior), atol=1e-5, rtol=1e-4)


def test_samples_are_of_the_classes_of_the_train_split(prior):
    n = 20_000
    codes = prior.sample(n, torch.Generator().manual_seed(0))
    p, uniform = of_train_split(prior), sum(of_class(prior, y) for y in range(CLASSES)) / CLASSES
    frequencies = torch.bincount((codes.flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1), minlength=81) / n
    error = 5 * (p * (1 - p) / n).sqrt() + 1e-4
    assert ((frequencies - p).abs() < error).all()
    assert ((frequencies - uniform).abs() > error).any()  # the test can tell the two apart
