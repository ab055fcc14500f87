from types import SimpleNamespace

import pytest
import torch

from aevq.latents import LatentSet
from aevq.metrics.likelihood import likelihood, loss_terms, prior_likelihood, prior_nats
from aevq.metrics.protocol import EvaluationSettings
from aevq.metrics.subject import Subject
from aevq.models import VAE
from aevq.nn import MLP, Bernoulli
from aevq.priors import FittedNormal, Marginals, StandardNormal


def subject_of(model, x, priors=None, **settings):
    labels = torch.zeros(len(x)).long()
    data = SimpleNamespace(images=lambda split: x, labels=lambda split: labels)
    return Subject(model, priors or {}, data, None, EvaluationSettings(**settings))


def test_means_weigh_images_and_not_chunks(digits):
    x = digits[:700]
    terms = SimpleNamespace(by_name=lambda: {"kl": terms.x.sum((1, 2, 3))})
    model = SimpleNamespace(device="cpu", loss_terms=lambda chunk: vars(terms).update(x=chunk) or terms)
    metrics = loss_terms(subject_of(model, x))
    assert metrics["loss/kl"] == pytest.approx(x.sum((1, 2, 3)).mean().item(), rel=1e-5)
    assert metrics["rate/kl_bits"] == pytest.approx(metrics["loss/kl"] / 0.693147, rel=1e-5)


def test_the_noise_is_the_same_each_time_and_the_callers_random_state_stays(make_model, digits):
    model, state = make_model("vae").eval(), torch.get_rng_state()
    first, second = (subject_of(model, digits).loss_terms for _ in range(2))
    assert all(first[name].equal(second[name]) for name in ("objective", "distortion", "kl"))
    assert torch.get_rng_state().equal(state)


def test_a_model_without_a_kl_has_no_rate(make_model, digits):
    assert set(loss_terms(subject_of(make_model("ae").eval(), digits))) == {"loss/objective", "loss/distortion"}


def binary_vae():
    return VAE(latent_dim=4, network=MLP([32]), likelihood=Bernoulli()).eval()


def fitted_normal(model, z):
    prior, labels = FittedNormal(model.latent_spec), torch.zeros(len(z)).long()
    prior.fit(LatentSet(z, labels, z, labels))
    return prior


def test_the_models_own_prior_given_as_a_fitted_one_gives_the_models_own_bounds(digits):
    model = binary_vae()
    settings = {"importance_samples": 7, "prior_importance_samples": 7, "likelihood_images": 20}
    priors = {"same": FittedNormal(model.latent_spec), "standard_normal": StandardNormal(model.latent_spec)}
    subject = subject_of(model, digits.round(), priors, **settings)
    own, others = likelihood(subject), prior_likelihood(subject)
    assert others["likelihood/same_elbo"] == pytest.approx(own["likelihood/elbo"], rel=1e-6)
    assert others["likelihood/same_nll"] == pytest.approx(own["likelihood/nll"], rel=1e-6)
    assert others["likelihood/prior_importance_samples"] == 7
    assert others["likelihood/images"] == own["likelihood/images"] == 20
    assert "likelihood/standard_normal_elbo" not in others  # it is likelihood/elbo


def test_the_elbo_under_a_fitted_normal_has_the_kl_to_that_normal(digits):
    model, x = binary_vae(), digits.round()
    prior = fitted_normal(model, 0.3 + 0.7 * torch.randn(500, 4))
    subject = subject_of(model, x, {"fitted": prior}, importance_samples=0, prior_importance_samples=0)
    with torch.no_grad():
        q = model.posterior(x)
        posterior = torch.distributions.MultivariateNormal(q.mu, scale_tril=(0.5 * q.log_var).exp().diag_embed())
        fitted = torch.distributions.MultivariateNormal(prior.mean, scale_tril=prior.cholesky)
        kl = torch.distributions.kl_divergence(posterior, fitted)
        gain = fitted.log_prob(subject.drawn) - torch.distributions.Normal(0.0, 1.0).log_prob(subject.drawn).sum(1)
    exact = -float((subject.loss_terms["distortion"] + kl).mean())
    metrics = prior_likelihood(subject)
    assert metrics == {"likelihood/fitted_elbo": pytest.approx(exact, abs=5 * float(gain.std()) / len(x) ** 0.5)}
    assert abs(metrics["likelihood/fitted_elbo"] - likelihood(subject)["likelihood/elbo"]) > 0.1


def test_nats_are_of_what_the_prior_is_fitted_to(digits):
    model = binary_vae()
    priors = {"means": fitted_normal(model, torch.randn(500, 4)), "draws": fitted_normal(model, torch.randn(500, 4))}
    priors["draws"].fit_to = "draw"
    subject = subject_of(model, digits, priors)
    with torch.no_grad():
        for name, z in {"means": model.encode(digits), "draws": subject.drawn}.items():
            normal = torch.distributions.MultivariateNormal(priors[name].mean, scale_tril=priors[name].cholesky)
            assert prior_nats(subject)[f"prior/{name}/nats"] == pytest.approx(
                -normal.log_prob(z).mean().item(), rel=1e-5
            )


@pytest.mark.parametrize("name", ["vae", "vqvae"])
def test_a_prior_without_a_density_has_no_nats_and_no_rate(name, make_model, digits):
    model = make_model(name).eval()
    base = Marginals if name == "vqvae" else StandardNormal

    class Sampler(base):
        def log_prob(self, latents, labels=None):
            raise NotImplementedError

    subject = subject_of(model, digits, {"known": base(model.latent_spec), "sampler": Sampler(model.latent_spec)})
    assert set(prior_nats(subject)) == {"prior/known/nats"}
    assert set(subject.code_lengths) == ({"known"} if name == "vqvae" else set())


def test_grey_images_have_no_bounds(digits):
    model = binary_vae()
    assert prior_likelihood(subject_of(model, digits, {"fitted": FittedNormal(model.latent_spec)})) == {}
