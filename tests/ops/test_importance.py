"""A linear-Gaussian model z ~ N(0, 1), x|z ~ N(az, s²) has log p(x) = log N(x; 0, a² + s²)."""

import math

import pytest
import torch
from torch.distributions import Normal

from aevq.ops.importance import importance_bound, log_weights

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
