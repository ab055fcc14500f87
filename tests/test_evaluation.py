"""The protocol on small untrained models and real digits."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from aevq.data import MNISTDataModule
from aevq.errors import UserError
from aevq.evaluation import EvaluationSettings, Evaluator, is_binary, pca_mse
from aevq.generate import encode_splits
from aevq.latents import CodeSpec, LatentSet
from aevq.models import VAE, VQVAE
from aevq.nn import MLP, Bernoulli, Conv, GradientUpdate
from aevq.nn.feature_net import FeatureNet
from aevq.priors import FittedNormal, Marginals, StandardNormal, Uniform


def digits5k(binarize="none"):
    return MNISTDataModule(
        name="mnist5k",
        root="data",
        folder="MNIST",
        files={},
        mirrors=[],
        timeout=1.0,
        fallback="embedded",
        val_size=500,
        split_seed=0,
        batch_size=100,
        eval_batch_size=500,
        binarize=binarize,
        seed=0,
    )


SETTINGS = EvaluationSettings(
    split="val", samples=60, importance_samples=3, likelihood_images=20, train_images=200, probes=False, seed=0
)


@pytest.fixture(autouse=True)
def _untrained_features(monkeypatch):
    torch.manual_seed(0)
    net = FeatureNet().eval().requires_grad_(False)
    monkeypatch.setattr("aevq.evaluation.load_feature_net", lambda: net)


def evaluate(model, priors, data, settings=SETTINGS):
    data.prepare()
    latents = encode_splits(model.eval(), data)
    fitted = {name: prior(model.latent_spec) for name, prior in priors.items()}
    for prior in fitted.values():
        prior.fit(latents)
    return Evaluator(model, fitted, data, latents, settings).run(lambda _: None)


VECTORS = {"standard_normal": StandardNormal, "fitted_normal": FittedNormal}
CODES = {"uniform": Uniform, "marginals": partial(Marginals, pseudo_count=0.5)}
ABSENT = {
    "ae": ("likelihood/", "rate/", "codebook/", "latent/active"),
    "vae": ("likelihood/", "codebook/", "rate/grid"),
    "vqvae": ("likelihood/", "latent/active", "pca/", "rate/kl"),
}


@pytest.mark.parametrize("name", ["ae", "vae", "vqvae"])
def test_a_figure_that_a_model_does_not_have_is_absent(name, make_model):
    model = make_model(name)
    priors = CODES if isinstance(model.latent_spec, CodeSpec) else VECTORS
    metrics = evaluate(model, priors, digits5k()).metrics
    assert not [figure for figure in metrics if figure.startswith(ABSENT[name])]
    for prior in priors:
        assert {f"samples/{prior}/{f}" for f in ("fd", "kd", "precision", "recall", "coverage")} <= set(metrics)
    assert {"floor/fd", "reconstruction/fd", "reconstruction/sharpness", "reconstruction/mse"} <= set(metrics)


def test_the_same_call_gives_the_same_figures(make_model):
    first, second = (evaluate(make_model_seeded(make_model, "vae"), VECTORS, digits5k()) for _ in range(2))
    assert first.metrics == second.metrics
    assert set(first.seconds) == set(second.seconds)


def make_model_seeded(make_model, name):
    torch.manual_seed(0)
    return make_model(name)


def test_a_bernoulli_vae_has_a_likelihood_on_binary_images_only():
    torch.manual_seed(0)
    parts = {"beta": 1.0, "kl_warmup_steps": 0, "free_bits": 0.0, "optimizer": torch.optim.AdamW}
    model = VAE((1, 28, 28), 4, MLP([32], "silu"), **parts, likelihood=Bernoulli())
    assert "likelihood/nll" not in evaluate(model, {}, digits5k()).metrics
    metrics = evaluate(model, {}, digits5k("threshold")).metrics
    assert metrics["likelihood/nll"] > 0
    assert metrics["likelihood/elbo"] == pytest.approx(-metrics["loss/distortion"] - metrics["loss/kl"])


def tiny_vqvae():
    """Four code grids of 2×1 codes with K = 2 on images of 4×2."""
    torch.manual_seed(0)
    return VQVAE(
        (1, 4, 2),
        (2, 1),
        2,
        3,
        0.25,
        Conv([4], 0, "silu"),
        GradientUpdate(),
        None,
        "normal",
        likelihood=Bernoulli(),
        optimizer=torch.optim.AdamW,
    ).eval()


def test_the_bound_of_a_vqvae_is_one_against_full_enumeration():
    """−log p(x) = −log Σ_z p(z) p(x|z) over all four grids never exceeds −log p(z*) − log p(x|z*)."""
    model, x = tiny_vqvae(), torch.rand(50, 1, 4, 2).round()
    codes = model.encode(x)
    prior = Marginals(model.latent_spec, pseudo_count=1.0)
    labels = torch.zeros(50, dtype=torch.long)
    prior.fit(LatentSet(codes, labels, codes, labels))
    grids = torch.cartesian_prod(torch.arange(2), torch.arange(2)).view(4, 2, 1)
    outputs = model.decoder(model.quantizer.lookup(grids).movedim(-1, 1))
    joint = [
        prior.log_prob(grids[i : i + 1]) - model.likelihood.nll(x, outputs[i].expand(50, 1, 4, 2)) for i in range(4)
    ]
    exact = -torch.stack(joint).logsumexp(0)
    bound = model.terms(x).distortion - prior.log_prob(codes)
    assert (bound >= exact - 1e-4).all()
    assert (bound > exact + 1e-3).any()


def test_pca_is_that_of_scikit_learn(digits):
    from sklearn.decomposition import PCA

    train, x = digits[::2], digits[1::2]
    pca = PCA(8, svd_solver="full").fit(train.flatten(1).double().numpy())
    flat = x.flatten(1).double().numpy()
    expected = ((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).mean()
    assert pca_mse(train, x, 8) == pytest.approx(expected)


def test_only_zeros_and_ones_are_binary(digits):
    assert is_binary(digits.round())
    assert not is_binary(digits)


@pytest.mark.parametrize("bad", [{"split": "train"}, {"samples": 3}, {"importance_samples": -1}])
def test_bad_settings_are_named(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        EvaluationSettings(**vars(SETTINGS) | bad)
