import pytest
import torch

from aevq.errors import UserError
from aevq.latents import LatentSet
from aevq.models import VAE
from aevq.nn import MLP, Bernoulli, Gaussian
from aevq.priors import FittedNormal


def vae(**changes):
    return VAE(**{"latent_dim": 4, "network": MLP([32]), "likelihood": Gaussian(0.2)} | changes)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_the_kl_is_added_with_the_weight_beta(beta, digits):
    terms = vae(beta=beta).eval().loss_terms(digits[:8])
    torch.testing.assert_close(terms.objective, terms.distortion + beta * terms.kl)
    assert (terms.kl > 0).all()


def test_the_warm_up_grows_with_the_steps_and_is_for_training_only(monkeypatch):
    model = vae(beta=2.0, kl_warmup_steps=10)
    weights = []
    for step in (0, 4, 9, 50):
        monkeypatch.setattr(VAE, "global_step", step)
        weights.append(model.train().kl_weight())
        assert model.eval().kl_weight() == 2.0
    assert weights == pytest.approx([0.2, 1.0, 2.0, 2.0])


def test_with_free_bits_a_small_kl_costs_the_minimum(digits):
    terms = vae(free_bits=100.0).eval().loss_terms(digits[:8])
    torch.testing.assert_close(terms.objective, terms.distortion + 4 * 100.0)


def test_the_code_is_the_mean_of_the_posterior(digits):
    model = vae()
    assert model.encode(digits[:3]).equal(model.posterior(digits[:3]).mu)


@pytest.mark.parametrize("bad", [{"latent_dim": 0}, {"beta": -1.0}, {"kl_warmup_steps": -1}, {"free_bits": -0.5}])
def test_bad_arguments_are_named(bad):
    with pytest.raises(UserError, match=rf"^VAE\.{next(iter(bad))}: should be greater than "):
        vae(**bad)


def test_the_importance_weighted_nll_tightens_the_elbo_and_does_not_depend_on_the_chunks(digits, monkeypatch):
    model, x = vae().eval(), digits[::100]
    elbo = torch.stack([model.loss_terms(x).objective.detach() for _ in range(50)]).mean()
    bounds = [model.importance_nll(x, s, torch.Generator().manual_seed(0)).mean() for s in (1, 20, 400)]
    assert bounds[2] < bounds[1] < elbo + 1
    monkeypatch.setattr("aevq.models.vae.MAX_DECODED_ON_CPU", 70)
    again = model.importance_nll(x, 400, torch.Generator().manual_seed(0)).mean()
    torch.testing.assert_close(again, bounds[2], atol=0.5, rtol=0)


def test_encoding_with_a_generator_draws_from_the_posterior(digits):
    model, x = vae().eval().double(), digits[:2].double()
    q = model.posterior(x)
    drawn = model.encode(x.repeat(20_000, 1, 1, 1), torch.Generator().manual_seed(0)).detach().view(20_000, 2, 4)
    sigma = (0.5 * q.log_var).exp()
    assert ((drawn.mean(0) - q.mu).abs() < 5 * sigma / 20_000**0.5).all()
    torch.testing.assert_close(drawn.std(0), sigma, rtol=0.03, atol=0)
    again, other = (model.encode(x, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert again.equal(model.encode(x, torch.Generator().manual_seed(0)))
    assert not again.equal(other)


def test_under_a_fitted_normal_the_bound_tends_to_the_integral_over_the_latent():
    """−log p(x) = −log ∫ p(x|z) N(z; m, s²) dz, by a sum over a fine grid of a single latent dimension."""
    model = VAE((1, 2, 2), 1, MLP([8]), likelihood=Bernoulli()).eval().double()
    x = torch.rand(6, 1, 2, 2).round().double()
    prior, labels = FittedNormal(model.latent_spec), torch.zeros(500).long()
    z = 0.7 + 0.6 * torch.randn(500, 1)
    prior.fit(LatentSet(z, labels, z, labels))
    prior.double()
    with torch.no_grad():
        grid = torch.linspace(-3, 7, 4001, dtype=torch.float64)[:, None]
        outputs = model.decoder(grid)
        nll = torch.stack([model.likelihood.nll(x[i : i + 1].expand(len(grid), 1, 2, 2), outputs) for i in range(6)])
        exact = -(prior.log_prob(grid) - nll).logsumexp(1) - torch.tensor(10 / 4000).log()
        bound = model.importance_nll(x, 20_000, torch.Generator().manual_seed(0), prior.log_prob)
        own = model.importance_nll(x, 20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(bound, exact, atol=0.02, rtol=0)
    assert (own - exact).abs().max() > 0.05
