import pytest
import torch

from aevq.errors import UserError
from aevq.nn import Bernoulli, Gaussian, Laplace


@pytest.mark.parametrize("likelihood", [Gaussian(), Laplace(), Bernoulli()])
def test_means_are_images_and_the_true_image_is_the_most_likely(likelihood, digits):
    x = digits[:5].round()
    right, wrong = 20 * (x - 0.5), 20 * (0.5 - x)
    mean = likelihood.mean(right)
    assert mean.min() >= 0
    assert mean.max() <= 1
    torch.testing.assert_close(mean, x, atol=1e-3, rtol=0)
    assert (likelihood.nll(x, right) < likelihood.nll(x, wrong)).all()


def test_a_learned_sigma_reaches_the_root_mean_squared_error(digits):
    x, output = digits[:50], torch.zeros(50, 1, 28, 28)
    likelihood = Gaussian(1.0, learned=True)
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        likelihood.nll(x, output).mean().backward()
        optimizer.step()
    rmse = (x - 0.5).square().mean().sqrt()
    assert likelihood.log_scale.exp().item() == pytest.approx(rmse.item(), rel=1e-2)


def test_a_fixed_sigma_is_stored_but_not_trained():
    assert not list(Gaussian(0.3).parameters())
    assert "log_scale" in Gaussian(0.3).state_dict()


def test_a_scale_that_is_not_positive_is_refused():
    with pytest.raises(UserError, match=r"^Gaussian\.sigma: should be greater than 0, got 0"):
        Gaussian(0)
