import pytest
import torch

from aevq.errors import UserError
from aevq.models import VAE
from aevq.nn import MLP, Gaussian


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
