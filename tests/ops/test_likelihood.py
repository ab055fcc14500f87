import math

import pytest
import torch
from torch.distributions import Bernoulli, Laplace, Normal
from torch.nn.functional import binary_cross_entropy_with_logits

from aevq.ops.likelihood import bernoulli_nll, gaussian_nll, laplace_nll, nats_to_bits


@pytest.fixture
def batch(digits):
    x = digits[::100].double()
    return x, torch.rand(x.shape, dtype=torch.float64)


def test_each_nll_is_that_of_torch_distributions(batch):
    x, output = batch
    scale = torch.tensor(math.log(0.3), dtype=torch.float64)
    expected = {
        gaussian_nll(x, output, scale): Normal(output, 0.3).log_prob(x),
        laplace_nll(x, output, scale): Laplace(output, 0.3).log_prob(x),
        bernoulli_nll(x.round(), output): Bernoulli(logits=output).log_prob(x.round()),
    }
    for nll, log_prob in expected.items():
        torch.testing.assert_close(nll, -log_prob.flatten(1).sum(1))


def test_a_fair_coin_is_a_bit():
    assert nats_to_bits(math.log(2)) == pytest.approx(1)


def test_the_best_sigma_is_the_root_mean_squared_error(batch):
    x, output = batch
    rmse = (x - output).square().mean().sqrt()
    at = {f: gaussian_nll(x, output, (f * rmse).log()).mean() for f in (0.9, 1.0, 1.1)}
    assert at[1.0] < at[0.9]
    assert at[1.0] < at[1.1]


def test_the_bernoulli_gradient_is_sigmoid_minus_x(batch):
    x, output = batch
    x, logits = x.flatten(1)[:3, 300:330], (10 * output - 5).flatten(1)[:3, 300:330].requires_grad_()
    assert torch.autograd.gradcheck(bernoulli_nll, (x.clone().requires_grad_(), logits))
    bernoulli_nll(x, logits).sum().backward()
    torch.testing.assert_close(logits.grad, logits.detach().sigmoid() - x)


@pytest.mark.parametrize("size", [0.1, 1, 10, 1000])
def test_the_bernoulli_nll_is_torchs_cross_entropy_at_logits_of_any_size(size, digits):
    x = digits[::100].round()
    logits = size * torch.randn(x.shape)
    expected = binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(bernoulli_nll(x, logits), expected, rtol=1e-5, atol=1e-3)
    assert bernoulli_nll(x, logits.clone().index_fill_(3, torch.tensor(5), math.nan)).isnan().all()
