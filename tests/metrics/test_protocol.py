"""The protocol on small untrained models and real digits."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from aevq.config.checks import to_config
from aevq.config.command_line import config_root
from aevq.data import MNISTDataModule, StackedMNISTDataModule
from aevq.errors import UserError
from aevq.latents import CodeSpec, LatentSet
from aevq.metrics.catalogue import Metric
from aevq.metrics.generate import encode_splits, features_of
from aevq.metrics.protocol import EvaluationSettings, run_protocol
from aevq.metrics.subject import Measure, Subject
from aevq.models import AE, VAE, VQVAE
from aevq.nn import MLP, Bernoulli, Conv
from aevq.nn.feature_net import FeatureNet, load_feature_net
from aevq.priors import FittedNormal, Marginals, StandardNormal, Uniform
from helpers.small_data import toys

DIGITS = {"batch_size": 100, "eval_batch_size": 500}
digits5k = partial(MNISTDataModule, "mnist5k", **DIGITS)
SMALL = {"samples": 60, "importance_samples": 3, "prior_importance_samples": 2, "likelihood_images": 20}
SETTINGS = EvaluationSettings(split="val", memorisation=False, probes=False, **SMALL)


@pytest.fixture(autouse=True)
def _untrained_features(monkeypatch):
    torch.manual_seed(0)
    net = FeatureNet().eval().requires_grad_(False)
    monkeypatch.setattr("aevq.metrics.subject.load_feature_net", lambda: net)


def evaluate(model, priors, data, settings=SETTINGS):
    data.prepare()
    latents = encode_splits(model.eval(), data)
    fitted = {name: prior(model.latent_spec) for name, prior in priors.items()}
    for prior in fitted.values():
        prior.fit(latents)
    return run_protocol(Subject(model, fitted, data, latents, settings))


VECTORS = {"standard_normal": StandardNormal, "fitted_normal": FittedNormal}
CODES = {"uniform": Uniform, "marginals": partial(Marginals, pseudo_count=0.5)}
ABSENT = {
    "ae": ("likelihood/", "rate/", "codebook/", "latent/active"),
    "vae": ("likelihood/", "codebook/", "rate/grid"),
    "vqvae": ("likelihood/", "latent/active", "pca/", "rate/kl"),
}


@pytest.mark.parametrize("name", ["ae", "vae", "vqvae"])
def test_a_metric_that_a_model_does_not_have_is_absent(name, make_model):
    model = make_model(name)
    priors = CODES if isinstance(model.latent_spec, CodeSpec) else VECTORS
    metrics = evaluate(model, priors, digits5k()).metrics
    assert not [metric for metric in metrics if metric.startswith(ABSENT[name])]
    for prior in priors:
        assert {f"samples/{prior}/{f}" for f in ("fd", "kd", "precision", "recall", "coverage")} <= set(metrics)
    assert {"real/fd", "reconstruction/fd", "reconstruction/sharpness", "reconstruction/mse"} <= set(metrics)


def test_the_kl_of_the_dimensions_adds_up_to_that_of_the_image(make_model):
    metrics = evaluate(make_model("vae"), {}, digits5k(), replace(SETTINGS, samples=0)).metrics
    kl = [value for name, value in metrics.items() if name.startswith("latent/kl/")]
    assert len(kl) == 4
    assert sum(kl) == pytest.approx(metrics["loss/kl"], rel=1e-4)


def test_no_more_samples_than_there_are_images_to_compare_them_with(make_model, monkeypatch):
    drawn = []
    monkeypatch.setattr("aevq.metrics.samples.generate", lambda m, p, n, s: drawn.append(n) or torch.rand(n, 1, 28, 28))
    evaluate(make_model("ae"), {"standard_normal": StandardNormal}, digits5k(), replace(SETTINGS, samples=10_000))
    assert drawn == [500]


def test_the_same_call_gives_the_same_metrics(make_model):
    model = make_model("vae")
    first, second = (evaluate(model, VECTORS, digits5k()) for _ in range(2))
    assert first.metrics == second.metrics
    assert set(first.seconds) == set(second.seconds)


def test_a_bernoulli_vae_has_a_likelihood_on_binary_images_only():
    model = VAE(latent_dim=4, network=MLP([32]), likelihood=Bernoulli())
    assert "likelihood/nll" not in evaluate(model, {}, digits5k()).metrics
    metrics = evaluate(model, {}, digits5k(binarize="threshold")).metrics
    assert metrics["likelihood/nll"] > 0
    assert metrics["likelihood/elbo"] == pytest.approx(-metrics["loss/distortion"] - metrics["loss/kl"])


def test_the_bound_of_a_vqvae_is_one_against_full_enumeration():
    """−log p(x) = −log Σ_z p(z) p(x|z) over all four grids of 2×1 codes never exceeds −log p(z*) − log p(x|z*)."""
    model = VQVAE((1, 4, 2), (2, 1), 2, 3, network=Conv([4]), codebook_init="normal", likelihood=Bernoulli()).eval()
    x = torch.rand(50, 1, 4, 2).round()
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
    bound = model.loss_terms(x).distortion - prior.log_prob(codes)
    assert (bound >= exact - 1e-4).all()
    assert (bound > exact + 1e-3).any()


@pytest.mark.parametrize("memorisation", [False, True])
def test_the_images_that_samples_are_compared_with_are_of_every_class(memorisation, make_model, monkeypatch):
    # The embedded images are sorted by class: their first sixty are zeros.
    monkeypatch.setattr("aevq.metrics.subject.load_feature_net", load_feature_net)
    data = digits5k()
    data.prepare()
    subject = Subject(make_model("ae").eval(), {}, data, None, replace(SETTINGS, memorisation=memorisation))
    for split, features in {"val": subject.reference.test, "train": subject.reference.train}.items():
        assert len(features) == SETTINGS.samples
        distances, rows = torch.cdist(features, features_of(load_feature_net(), data.images(split))).min(1)
        assert distances.max() < 0.1
        assert data.labels(split)[rows].unique().numel() == 10


def test_a_digit_left_out_is_scored_as_an_anomaly(make_model):
    auroc = {}
    for name in ("ae", "vae", "vqvae"):
        model = make_model(name)
        priors = CODES if isinstance(model.latent_spec, CodeSpec) else VECTORS
        metrics = evaluate(model, priors, digits5k(leave_out=1), replace(SETTINGS, split="test")).metrics
        auroc[name] = {n.split("/")[1]: v for n, v in metrics.items() if n.startswith("anomaly/")}
        assert not [n for n in evaluate(model, priors, digits5k()).metrics if n.startswith("anomaly/")]
    assert set(auroc["ae"]) == {"reconstruction_error"}
    assert set(auroc["vae"]) == {"reconstruction_error", "elbo"}
    assert set(auroc["vqvae"]) == {"reconstruction_error", "marginals_code_length"}  # of uniform codes all are equal
    assert all(0 <= value <= 1 for scores in auroc.values() for value in scores.values())


def stacks5k():
    sizes = {"train_stacks": 300, "val_stacks": 120, "test_stacks": 100}
    return StackedMNISTDataModule(name="stacked_mnist5k", **DIGITS, **sizes, stack_seed=0, binarize="none")


def stacked_vqvae():
    return VQVAE((3, 28, 28), num_codes=16, code_dim=4, network=Conv([4, 8]), codebook_init="normal")


def test_of_stacked_digits_modes_are_counted_too_beside_those_of_the_real_images():
    model = stacked_vqvae()
    metrics = evaluate(model, CODES, stacks5k(), replace(SETTINGS, mode_samples=100)).metrics
    for prior in ("samples/uniform", "samples/marginals", "real"):
        assert 1 <= metrics[f"{prior}/modes"] <= 100
        assert 0 < metrics[f"{prior}/mode_kl"] <= math.log(1000)
        assert metrics[f"{prior}/mode_samples"] == 100
    assert {"real/fd", "reconstruction/fd", "samples/marginals/coverage"} <= set(metrics)
    without = evaluate(model, {}, stacks5k(), replace(SETTINGS, mode_samples=0)).metrics
    assert not [name for name in without if "mode" in name.split("/")[-1]]
    assert without["real/fd"] == metrics["real/fd"]


def test_modes_are_counted_on_no_more_samples_than_there_are_real_images():
    metrics = evaluate(stacked_vqvae(), {"uniform": Uniform}, stacks5k(), SETTINGS).metrics
    assert metrics["samples/uniform/mode_samples"] == metrics["real/mode_samples"] == 120


def test_probes_of_stacked_digits_predict_each_channels_digit():
    model = VAE((3, 28, 28), 4, MLP([32]))
    metrics = evaluate(model, {}, stacks5k(), replace(SETTINGS, samples=0, probes=True)).metrics
    assert 0.3 < metrics["probe/pixels/linear"] <= 1  # 300 images of 1,000 classes would not be enough
    assert metrics["pca/mse"] > 0


def test_without_samples_no_metric_of_samples_is_measured(make_model):
    metrics = evaluate(make_model("ae"), VECTORS, digits5k(), replace(SETTINGS, samples=0)).metrics
    assert not [name for name in metrics if name.startswith(("samples/", "real/")) or name.endswith("/fd")]
    assert "reconstruction/mse" in metrics


BAD = {"split": "train", "samples": 3, "importance_samples": -1, "probes": 1, "sample": 10, "extra": {"a": 3}}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_named(name):
    with pytest.raises(UserError, match=rf"^EvaluationSettings\.{name}: "):
        EvaluationSettings(**{name: BAD[name]})


def test_the_settings_of_a_run_are_those_of_the_protocol_but_for_what_takes_long():
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        node = OmegaConf.to_container(compose("train").evaluation)
    less = {"importance_samples": 0, "prior_importance_samples": 0}
    less |= {"memorisation": False, "probes": False, "label_accuracy": False}
    assert node == to_config(EvaluationSettings()) | less


class Brightness(Measure):
    metrics = (Metric("samples/<prior>/brightness", "brightness", "mean pixel", unit="of 1"),)

    def __init__(self, name: str = "samples/{}/brightness") -> None:
        self.name = name

    def __call__(self, subject: Subject) -> dict[str, float]:
        return {self.name.format(prior): float(subject.x.mean()) for prior in subject.priors}


def test_a_metric_from_outside_is_measured_last_and_timed(make_model):
    settings = replace(SETTINGS, extra={"light": Brightness()})
    evaluation = evaluate(make_model("ae"), VECTORS, digits5k(), settings)
    assert list(evaluation.metrics)[-2:] == ["samples/standard_normal/brightness", "samples/fitted_normal/brightness"]
    assert "light" in evaluation.seconds
    assert settings.extra_metrics == Brightness.metrics


@pytest.mark.parametrize("name", ["samples/{}/fd", "brightness"])
def test_a_metric_from_outside_returns_what_its_entries_describe(name, make_model, caplog):
    settings = replace(SETTINGS, samples=0, extra={"light": Brightness(name)})
    assert "brightness" not in str(evaluate(make_model("ae"), VECTORS, digits5k(), settings).metrics)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("metrics: light: left out (UserError: evaluation.extra.light: returned")
    assert "which its `metrics` do not describe" in line


FEATURES = ("real/", "samples/", "reconstruction/fd")


@pytest.mark.fault("images that the feature net does not know: no metric in its features")
def test_only_digits_of_mnist_are_measured_in_features(make_model, monkeypatch):
    assert [MNISTDataModule(name).mnist_digits for name in ("mnist", "mnist5k", "fashion_mnist", "kmnist")] == [
        *(True, True, False, False)
    ]
    assert StackedMNISTDataModule("stacked_mnist5k").mnist_digits
    assert not StackedMNISTDataModule("stacked_kmnist").mnist_digits
    for data in (toys(), toys((1, 8, 8))):
        data.mnist_digits = data.image_shape != (1, 28, 28)  # 8×8 digits, or 28×28 pixels of something else
        model = AE(data.image_shape, 3, MLP([8]))
        metrics = evaluate(model, VECTORS, data, replace(SETTINGS, split="test")).metrics
        assert metrics["reconstruction/mse"] > 0
        assert not [name for name in metrics if name.startswith(FEATURES)]


@pytest.mark.fault("a metric that fails, of one image or one class: one warning, and all others are measured")
@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        (
            {"test_images": 1},
            {"reconstruction in features", "real", "samples standard_normal", "samples fitted_normal"},
        ),
        ({"classes": 1}, {"probes"}),
        ({"shape": (1, 4, 4)}, set()),
    ],
    ids=["one test image", "one class", "4×4 pixels"],
)
@pytest.mark.filterwarnings("ignore:cov")
def test_a_metric_that_fails_is_left_out(changes, left_out, caplog):
    data = toys(**changes)
    data.mnist_digits = True
    settings = replace(SETTINGS, split="test", probes=True)
    metrics = evaluate(VAE(data.image_shape, 3, MLP([8])), VECTORS, data, settings).metrics
    assert {"reconstruction/mse", "pca/mse", "loss/kl", "latent/kl/0"} <= set(metrics)
    assert ("latent/active_units" in metrics) == (changes != {"test_images": 1})
    assert ("probe/latent/knn" in metrics) == ("probes" not in left_out)
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert {line.split(":")[1].strip() for line in lines} == left_out
    assert all(line.startswith("metrics: ") and "left out (" in line for line in lines)


def test_a_metric_from_outside_replaces_none_of_aevq():
    class Better(Brightness):
        metrics = (Metric("reconstruction/mse", "MSE", "always 0"),)

    with pytest.raises(UserError, match="mse measures reconstruction/mse, which is already a metric of aevq"):
        EvaluationSettings(extra={"mse": Better()})
