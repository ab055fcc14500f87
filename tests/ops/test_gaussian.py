import torch
from torch.distributions import Normal, kl_divergence

from aevq.ops.gaussian import free_bits, kl_standard_normal, reparameterize


def moments(batch=3, dim=5):
    return torch.randn(batch, dim, dtype=torch.float64), torch.randn(batch, dim, dtype=torch.float64)


def test_kl_equals_that_of_torch_distributions():
    mu, log_var = moments()
    expected = kl_divergence(Normal(mu, (0.5 * log_var).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_standard_normal(mu, log_var), expected)


def test_kl_agrees_with_monte_carlo():
    mu, log_var = moments(1, 2)
    z = reparameterize(mu.expand(400_000, 2), log_var.expand(400_000, 2))
    ratio = Normal(mu, (0.5 * log_var).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    standard_error = ratio.std(0) / len(ratio) ** 0.5
    assert ((ratio.mean(0) - kl_standard_normal(mu, log_var)[0]).abs() < 5 * standard_error).all()


def test_kl_is_zero_at_the_prior_and_positive_elsewhere():
    zeros = torch.zeros(1, 3, dtype=torch.float64)
    assert kl_standard_normal(zeros, zeros).eq(0).all()
    mu, log_var = moments()
    assert (kl_standard_normal(mu, log_var) > 0).all()


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
