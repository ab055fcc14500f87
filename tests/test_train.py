"""The main job, as a user types it, on real images, for two steps."""

from __future__ import annotations

import json

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

import aevq
from aevq.config.instantiate import build
from aevq.models import VQVAE
from aevq.priors import PixelCNN
from aevq.sample import main as sample_main
from aevq.train import main as train_main
from helpers.small_runs import QUICK, SMALL, STACKED


@pytest.mark.parametrize("name", ["ae", "vae", "vqvae"])
def test_a_run_leaves_a_folder_that_everything_else_reads(name, command):
    code, out, _ = command(train_main, f"model={name}", "seed=3", *QUICK, *SMALL[name], "evaluation.samples=20")
    assert code == 0
    assert "reconstruction/mse" in out
    run = aevq.load("latest")
    assert run.path.name.endswith(f"_{name}_mnist5k_s3")
    result = run.result
    assert result.status == "finished"
    assert result.data["sizes"] == {"train": 4000, "val": 500, "test": 500}
    assert result.train["steps"] == 4
    assert result.objective == {"name": "reconstruction/mse", "value": result.metrics["reconstruction/mse"]}
    has_codebook = any(metric.startswith("codebook/") for metric in result.metrics)
    assert has_codebook == (name == "vqvae")
    assert ("loss/kl" in result.metrics) == (name == "vae")
    sampled = {metric.split("/")[1] for metric in result.metrics if metric.startswith("samples/")}
    assert sampled == set(run.prior_names())
    assert "real/fd" in result.metrics

    for checkpoint in run.path.rglob("*.ckpt"):
        assert torch.load(checkpoint, weights_only=True)["state_dict"]
    config = OmegaConf.load(run.path / "config.yaml")
    assert config.seed == 3
    assert run.prior_names() == sorted(config.prior)

    pictures = {path.name for path in run.images.glob("*.png")}
    expected = {"reconstructions.png", "interpolations.png", "latent_space.png"}
    expected |= {f"samples_{prior}.png" for prior in run.prior_names()}
    expected |= {"codebook_usage.png", "code_maps.png"} if name == "vqvae" else set()
    assert pictures == expected
    strips = {path.name for path in (run.images / "strips").iterdir()}
    assert strips == {"originals.png", "reconstructions.png", *(f"samples_{prior}.png" for prior in run.prior_names())}

    header, *rows = (run.path / "metrics.csv").read_text().splitlines()
    assert header == "step,name,value"
    assert {"train/objective", "val/objective", "val/mse"} <= {row.split(",")[1] for row in rows}
    check_python_api(run)
    check_the_reported_error_is_that_of_the_checkpoint(run)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("vqvae", [*SMALL["vqvae"], "prior.pixelcnn.conditional=true"]),
        pytest.param("ae", SMALL["ae"], marks=pytest.mark.slow),
        pytest.param("vae", ["model/network=conv", "data.binarize=dynamic"], marks=pytest.mark.slow),
    ],
)
def test_three_digits_to_an_image_need_no_more_than_the_data_sets_name(name, choices, command):
    code, out, err = command(train_main, f"model={name}", "seed=3", *QUICK, *STACKED, *choices)
    assert code == 0, err
    run = aevq.load("latest")
    assert run.path.name.endswith(f"_{name}_stacked_mnist5k_s3")
    assert run.result.data["name"] == "stacked_mnist5k"
    assert run.result.data["sizes"] == {"train": 200, "val": 40, "test": 60}
    (prior,) = run.prior_names()[:1]
    for figures in (f"samples/{prior}", "real"):
        assert run.result.metrics[f"{figures}/mode_samples"] == 50
        assert 1 <= run.result.metrics[f"{figures}/modes"] <= 50
    assert "mode_kl" in out
    assert run.sample(3, prior=prior).shape == (3, 3, 28, 28)
    assert run.reconstruct(run.data.images("test")[:2]).shape == (2, 3, 28, 28)
    for strip in (run.images / "strips").iterdir():
        with Image.open(strip) as image:
            assert image.mode == "RGB"


def check_python_api(run):
    x = run.data.images("test")[:5]
    assert x.shape == (5, 1, 28, 28)
    torch.testing.assert_close(run.reconstruct(x), run.decode(run.encode(x)))
    path = run.interpolate(x[:2], x[2:4], steps=3)
    assert path.shape == (2, 3, 1, 28, 28)
    torch.testing.assert_close(path[:, 2], run.reconstruct(x[2:4]))
    first, second, other = (run.sample(4, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (4, 1, 28, 28)
    assert first.equal(second)
    assert not first.equal(other)


def check_the_reported_error_is_that_of_the_checkpoint(run):
    x = build(run.config.data).images("test")
    mse = (run.reconstruct(x) - x).double().square().mean().item()
    assert run.result.metrics["reconstruction/mse"] == pytest.approx(mse, rel=1e-6)


def test_sample_writes_a_picture_of_a_finished_run(command, tmp_path):
    command(train_main, "model=vae", *QUICK, *SMALL["vae"])
    code, out, _ = command(sample_main, "run=latest", "n=4", "seed=2", "out=a.png")
    assert code == 0
    assert out.strip() == "a.png"
    command(sample_main, "run=latest", "n=4", "seed=2", "out=b.png")
    command(sample_main, "run=latest", "n=4", "seed=3", "out=c.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c
    for arguments, message in {
        ("run=nowhere",): "error: run: no run 'nowhere'",
        ("prior=standard_norml",): "did you mean 'standard_normal'",
        ("n=0",): "error: n: expected an integer ≥ 1, got 0",
        ("m=3",): "error: m: unknown option",
        ("n=many",): "error: ",
    }.items():
        code, _, err = command(sample_main, *arguments)
        assert code == 1
        assert message in err
        assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["model=vea"],
            "model=vea: unknown; did you mean 'vae'? (valid: ae, ae_stacked, vae, ",
        ),
        (["model=vqvae", "model.num_codes=0"], "model.num_codes: expected an integer ≥ 1, got 0"),
        (["trainer.max_epochs=-3"], "trainer.max_epochs: expected an integer ≥ 0, or -1 for no limit, got -3"),
        (
            ["trainer.max_epoch=3"],
            "trainer.max_epoch: no such key in the configuration; did you mean 'trainer.max_epochs'",
        ),
        (["model=vqvae", "prior=mixture"], "prior mixture: expected latent vectors (AE, VAE), got CodeSpec"),
        (["resume=nowhere"], "resume: no run 'nowhere'"),
        (["model.likelihood=laplace"], "model.likelihood: is a group of parts; write model/likelihood=laplace"),
        (["seed=-1"], "seed: expected an integer ≥ 0 and < 2^32, got -1"),
        (["matmul_precision=lowest"], "matmul_precision: expected"),
        (["model.latent_dim=eight"], "model.latent_dim"),
        (["data.batch_size=0"], "data.batch_size"),
        (["trainer.devices=7", "trainer=gpu"], "trainer"),
        (["model.likelihood.sigma=0"], "model.likelihood.sigma: expected a number in (0, inf), got 0"),
        (["objective=reconstruction/mes", "data=mnist5k", "data.batch_size=100000"], "data.batch_size"),
    ],
)
def test_bad_input_gets_one_clear_line_and_leaves_no_trace(arguments, message, command, tmp_path):
    code, out, err = command(train_main, *arguments)
    assert code == 1
    assert message in err
    assert [line for line in err.splitlines() if line.strip()][-1].startswith("error: ")
    assert "Traceback" not in out + err
    assert not list(tmp_path.rglob("*.*"))


def test_an_unreachable_data_set_without_fallback_is_one_clear_line(command, tmp_path):
    code, _, err = command(
        train_main, f"data.root={tmp_path}/nowhere", "data.fallback=error", "data.download=false", *QUICK[1:]
    )
    assert code == 1
    assert len(err.strip().splitlines()) == 1
    assert "data" in err


def test_a_truncated_file_is_one_clear_line_and_no_fallback(command, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(b"\x00\x00\x08\x03\x00\x00")
    code, _, err = command(train_main, f"data.root={tmp_path}", *QUICK[1:])
    assert code == 1
    assert len(err.strip().splitlines()) == 1
    assert "-ubyte" in err
    assert not (tmp_path / "runs").exists()


def test_debug_shows_the_traceback(command):
    code, _, err = command(train_main, "model.latent_dim=0", "debug=true")
    assert code == 1
    assert "Traceback" in err
    assert err.strip().splitlines()[-1] == "error: model.latent_dim: expected an integer ≥ 1, got 0"


def test_a_fallback_is_named_everywhere_and_remembered(command, tmp_path, monkeypatch):
    code, _, err = command(train_main, f"data.root={tmp_path}/empty", "data.download=false", *QUICK[1:], *SMALL["vae"])
    assert code == 0
    assert err.count("WARNING: ") == 1
    assert "results are named mnist5k" in err
    run = aevq.load("latest")
    assert "_mnist5k_" in run.path.name
    assert run.result.data["name"] == "mnist5k"
    assert run.config.data.name == "mnist5k"


def test_a_failed_run_says_so_and_why(command, monkeypatch):
    def explode(*_):
        raise RuntimeError("the power went out")

    monkeypatch.setattr("aevq.training.job.run_protocol", explode)
    with pytest.raises(RuntimeError, match="the power went out"):
        command(train_main, "model=vae", *QUICK, *SMALL["vae"])
    result = aevq.load("latest").result
    assert result.status == "failed"
    assert result.error == "RuntimeError: the power went out"
    assert result.metrics == {}


@pytest.mark.parametrize("stage", ["model", "prior"])
def test_an_interrupted_run_is_resumed_in_its_own_folder_to_the_same_end(stage, command, monkeypatch):
    """Cut in either stage after its first validation, a run ends with the figures of one that was never cut."""
    arguments = ["model=vqvae", *QUICK, *SMALL["vqvae"], "prior.pixelcnn.max_steps=4"]
    command(train_main, *arguments)
    whole = aevq.load("latest")

    cut_class, name = {"model": (VQVAE, "_optimize"), "prior": (PixelCNN, "training_step")}[stage]
    step = getattr(cut_class, name)

    def cut(self, *batch):
        if self.global_step == 3:
            raise KeyboardInterrupt
        return step(self, *batch)

    monkeypatch.setattr(cut_class, name, cut)
    code, _, _ = command(train_main, *arguments)
    monkeypatch.setattr(cut_class, name, step)
    run = aevq.load("latest")
    assert code == 130
    assert run.path != whole.path
    assert run.result.status == "interrupted"

    code, _, _ = command(train_main, "resume=latest")
    assert code == 0
    resumed = aevq.load("latest")
    assert resumed.path == run.path
    assert resumed.result.status == "finished"
    assert resumed.result.resumed == 1
    assert resumed.result.metrics == whole.result.metrics
    assert resumed.sample(4).equal(whole.sample(4))
    steps = [tuple(row.split(",")[:2]) for row in (run.path / "metrics.csv").read_text().splitlines()[1:]]
    assert len(steps) == len(set(steps))


def test_a_finished_run_has_nothing_to_resume(command):
    command(train_main, "model=vae", *QUICK, *SMALL["vae"])
    before = aevq.load("latest").result
    code, out, _ = command(train_main, "resume=latest")
    assert code == 0
    assert "nothing to resume" in out
    assert aevq.load("latest").result == before


def test_a_run_resumed_for_longer_fits_its_priors_again(command):
    command(train_main, "model=ae", "prior=fitted_normal", *QUICK, "model.network.hidden=[32]")
    run = aevq.load("latest")
    before = run.prior().mean.clone()
    (run.path / "evaluation.json").write_text("{}")
    stale = [run.images / "samples_mixture.png", run.images / "strips" / "samples_mixture.png"]
    for path in stale:
        path.write_bytes(b"of the older weights")
    code, _, err = command(train_main, "resume=latest", "trainer.max_steps=8")
    assert code == 0, err
    run = aevq.load("latest")
    assert run.result.train["steps"] == 8
    assert run.config.trainer.max_steps == 8
    z = run.encode(build(run.config.data).images("train"))
    torch.testing.assert_close(run.prior().mean, z.mean(0), atol=1e-4, rtol=1e-4)
    assert not run.prior().mean.allclose(before)
    assert not (run.path / "evaluation.json").exists()
    assert not any(path.exists() for path in stale)


@pytest.mark.parametrize("change", ["model=ae", "data=mnist", "model/network=conv", "model.network=null"])
def test_resuming_as_another_run_is_refused(change, command):
    command(train_main, "model=vae", *QUICK, *SMALL["vae"])
    before = aevq.load("latest").result
    code, _, err = command(train_main, "resume=latest", change)
    assert code == 1
    assert "would make another run" in err
    assert aevq.load("latest").result == before


def test_a_resumed_run_may_not_name_foreign_code(command, tmp_path):
    command(train_main, "model=vae", *QUICK, *SMALL["vae"])
    path = aevq.load("latest").path / "config.yaml"
    config = OmegaConf.load(path)
    config.callbacks.bad = {"_target_": "pathlib.Path.touch", "self": str(tmp_path / "executed")}
    path.write_text(OmegaConf.to_yaml(config))
    code, _, err = command(train_main, "resume=latest", "trainer.max_steps=6")
    assert code == 1
    assert "refused" in err
    assert not (tmp_path / "executed").exists()


def test_probes_are_trained_at_a_runs_end_where_that_is_asked_for(command):
    code, _, err = command(train_main, "model=vae", *QUICK, *SMALL["vae"], "prior=none", "evaluation.probes=true")
    assert code == 0, err
    assert {"probe/latent/linear", "probe/pixels/knn"} <= aevq.load("latest").result.metrics.keys()


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(command):
    values = []
    for seed in (1, 1, 2):
        command(train_main, "model=vae", f"seed={seed}", *QUICK, *SMALL["vae"])
        values.append(aevq.load("latest").result.metrics)
    assert values[0] == values[1] != values[2]


def test_a_sweep_makes_a_folder_with_a_run_for_each_job(command, tmp_path):
    code, _, _ = command(train_main, "-m", "model=ae,vae", *QUICK, "model.network.hidden=[32]", "prior=none")
    assert code == 0
    (sweep,) = (tmp_path / "runs" / "sweep").iterdir()
    results = [json.loads(path.read_text()) for path in sorted(sweep.glob("*/result.json"))]
    assert [(r["model"]["name"], r["status"]) for r in results] == [("AE", "finished"), ("VAE", "finished")]


def test_the_smoke_experiment_runs_all_three_models(command, tmp_path):
    small = ["trainer.max_steps=2", "trainer.val_check_interval=2", "pictures.samples=8", "evaluation.samples=20"]
    code, _, err = command(train_main, "-m", "experiment=smoke", "prior_max_steps=1", "trainer=cpu", *small)
    assert code == 0, err
    (sweep,) = (tmp_path / "runs" / "sweep").iterdir()
    results = [json.loads(path.read_text()) for path in sweep.glob("*/result.json")]
    assert sorted(r["model"]["name"] for r in results) == ["AE", "VAE", "VQVAE"]
    assert {r["status"] for r in results} == {"finished"}


@pytest.mark.parametrize("name", ["fast_dev_run", "overfit", "profile"])
def test_each_debug_setting_goes_through(name, command):
    limits = {"fast_dev_run": [], "overfit": ["trainer.max_steps=4"], "profile": ["trainer.max_steps=4"]}[name]
    quick = ["data=mnist5k", "trainer=cpu", "pictures.map_points=60", "trainer.enable_progress_bar=false"]
    code, out, err = command(train_main, "model=vae", f"debug={name}", *quick, *limits, *SMALL["vae"])
    assert code == 0, err
    assert aevq.load("latest").result.status == "finished"
    assert ("FIT Profiler Report" in out) == (name == "profile")


def test_two_latent_dimensions_are_drawn_as_a_plane(command):
    command(train_main, "model=vae", "model.latent_dim=2", *QUICK, *SMALL["vae"])
    assert (aevq.load("latest").images / "manifold.png").is_file()


def test_a_fourth_model_is_one_file_and_one_yaml(command, tmp_path, monkeypatch):
    """A linear autoencoder, from outside the package's files: nothing else is touched."""
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "linear.yaml").write_text(LINEAR_YAML)
    module = tmp_path / "linear.py"
    module.write_text(LINEAR_PY)
    import aevq.models

    monkeypatch.setattr(aevq.models, "__path__", [*aevq.models.__path__, str(tmp_path)])
    code, _, err = command(train_main, "--config-dir", str(tmp_path / "conf"), "model=linear", *QUICK)
    assert code == 0, err
    run = aevq.load("latest")
    assert run.result.model["name"] == "Linear"
    assert run.prior_names() == ["fitted_normal"]
    assert run.sample(2).shape == (2, 1, 28, 28)


LINEAR_YAML = """
defaults:
  - likelihood: gaussian
  - optimizer: adamw
  - schedule: warmup_cosine
  - override /prior@_global_.prior: fitted_normal

_target_: aevq.models.linear.Linear
latent_dim: 3
"""

LINEAR_PY = """
import math
from torch import nn
from aevq.latents import VectorSpec
from aevq.models.base import LatentModel, LossTerms

class Linear(LatentModel):
    def __init__(self, latent_dim, **parts):
        super().__init__(**parts)
        self.latent_spec_ = VectorSpec(latent_dim)
        self.down, self.up = nn.Linear(784, latent_dim), nn.Linear(latent_dim, 784)

    @property
    def latent_spec(self):
        return self.latent_spec_

    def encode(self, x):
        return self.down(x.flatten(1))

    def decode(self, latent):
        return self.likelihood.mean(self.up(latent).view(-1, 1, 28, 28))

    def terms(self, x):
        nll = self.likelihood.nll(x, self.up(self.encode(x)).view_as(x))
        return LossTerms(objective=nll, distortion=nll)
"""
