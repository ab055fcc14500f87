import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from aevq.ops.gaussian import (
    free_bits,
    importance_bound,
    kl_standard_normal,
    log_standard_normal,
    log_weights,
    reparameterize,
)


def moments(batch=3, dim=5):
    return torch.randn(batch, dim, dtype=torch.float64), torch.randn(batch, dim, dtype=torch.float64)


def test_kl_equals_that_of_torch_distributions_and_is_zero_at_the_prior():
    mu, log_var = moments()
    expected = kl_divergence(Normal(mu, (0.5 * log_var).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_standard_normal(mu, log_var), expected)
    assert kl_standard_normal(0 * mu, 0 * log_var).eq(0).all()


def test_kl_agrees_with_monte_carlo():
    mu, log_var = moments(1, 2)
    z = reparameterize(mu.expand(400_000, 2), log_var.expand(400_000, 2))
    ratio = Normal(mu, (0.5 * log_var).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    standard_error = ratio.std(0) / len(ratio) ** 0.5
    assert ((ratio.mean(0) - kl_standard_normal(mu, log_var)[0]).abs() < 5 * standard_error).all()


def test_samples_have_the_posterior_moments_and_pass_the_gradient():
    mu = torch.full((200_000, 1), 2.0, dtype=torch.float64, requires_grad=True)
    log_var = torch.full_like(mu, -1.0).detach().requires_grad_()
    z = reparameterize(mu, log_var)
    assert abs(z.mean() - 2) < 0.01
    assert abs(z.var() - torch.tensor(-1.0).exp()) < 0.01
    z.sum().backward()
    torch.testing.assert_close(mu.grad, torch.ones_like(mu))
    assert log_var.grad.abs().sum() > 0


def test_the_same_generator_seed_draws_the_same_noise():
    mu, log_var = moments()
    draws = [reparameterize(mu, log_var, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert draws[0].equal(draws[1])
    assert not draws[0].equal(draws[2])


def test_free_bits_raise_a_small_kl_to_the_minimum_and_keep_a_large_one():
    kl = torch.tensor([[0.1, 3.0], [0.3, 5.0]])
    torch.testing.assert_close(free_bits(kl, 0.0), kl.sum(1))
    torch.testing.assert_close(free_bits(kl, 0.5), torch.full((2,), 0.5 + 4.0))


# The linear-Gaussian model z ~ N(0, 1), x|z ~ N(az, s²) has log p(x) = log N(x; 0, a² + s²).
A, S = 1.5, 0.7
X = torch.tensor([-2.0, 0.3, 1.9], dtype=torch.float64)
EXACT = Normal(0.0, math.sqrt(A**2 + S**2)).log_prob(X)
POSTERIOR_VAR = 1 / (1 + A**2 / S**2)
POSTERIOR_MEAN = POSTERIOR_VAR * A * X / S**2


def weights(samples, mean_shift=0.0, var_factor=1.0):
    mu = (POSTERIOR_MEAN + mean_shift)[:, None]
    log_var = torch.full_like(mu, math.log(POSTERIOR_VAR * var_factor))
    return log_weights(mu, log_var, lambda z: Normal(A * z[..., 0], S).log_prob(X), samples)


def test_a_weight_is_likelihood_times_prior_over_posterior():
    mu, log_var = (torch.randn(5, 3, dtype=torch.float64) for _ in range(2))
    seen = []

    def log_likelihood(z):
        seen.append(z)
        return z.sum(-1)

    log_w = log_weights(mu, log_var, log_likelihood, 4)
    (z,) = seen
    q, p = Normal(mu, (0.5 * log_var).exp()), Normal(0.0, 1.0)
    assert log_w.shape == (4, 5)
    torch.testing.assert_close(log_w, z.sum(-1) + p.log_prob(z).sum(-1) - q.log_prob(z).sum(-1))


@pytest.mark.parametrize("samples", [1, 10])
def test_with_the_true_posterior_it_is_exact_for_any_number_of_samples(samples):
    torch.testing.assert_close(importance_bound(weights(samples)), EXACT)


def test_with_a_wrong_posterior_it_is_a_lower_bound_that_tightens():
    bounds = [torch.stack([importance_bound(weights(s, 0.4, 2.0)) for _ in range(2000)]).mean(0) for s in (1, 10, 100)]
    assert (bounds[0] < bounds[1]).all()
    assert (bounds[1] < bounds[2]).all()
    assert (bounds[2] < EXACT + 0.01).all()
    torch.testing.assert_close(bounds[2], EXACT, atol=0.05, rtol=0)


def test_the_density_of_the_standard_normal_is_torchs():
    z = torch.randn(4, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(log_standard_normal(z), Normal(0.0, 1.0).log_prob(z).sum(-1))


def test_another_prior_takes_the_place_of_the_standard_normal():
    mu, log_var = (torch.randn(5, 3, dtype=torch.float64) for _ in range(2))
    seen = []

    def log_prior(z):
        seen.append(z)
        return Normal(1.0, 2.0).log_prob(z).sum(-1)

    log_w = log_weights(mu, log_var, lambda z: z.sum(-1), 4, log_prior=log_prior)
    (z,) = seen
    assert z.shape == (20, 3)
    z = z.view(4, 5, 3)
    q = Normal(mu, (0.5 * log_var).exp())
    expected = z.sum(-1) + Normal(1.0, 2.0).log_prob(z).sum(-1) - q.log_prob(z).sum(-1)
    torch.testing.assert_close(log_w, expected)
