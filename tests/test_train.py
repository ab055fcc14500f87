"""A whole run, from the command line and from Python, on real images, for a few steps."""

import json
import os
import subprocess
import sys

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from PIL import Image

import aevq
from aevq.compare import main as compare_main
from aevq.data import MNISTDataModule
from aevq.errors import UserError
from aevq.models import VAE, VQVAE
from aevq.priors import PixelCNN
from aevq.runs.status import RUN_FOLDER
from aevq.sample import main as sample_main
from aevq.train import main as train_main
from helpers.same_runs import assert_same, file_hashes
from helpers.small_runs import QUICK, SMALL, SMALL_VAE, SMALL_VQVAE, STACKED


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
    assert list(result.seconds) == ["train", "priors", "evaluation", "plots"]
    assert result.objective == {"name": "reconstruction/mse", "value": result.metrics["reconstruction/mse"]}
    has_codebook = any(metric.startswith("codebook/") for metric in result.metrics)
    assert has_codebook == (name == "vqvae")
    assert ("loss/kl" in result.metrics) == (name == "vae")
    sampled = {metric.split("/")[1] for metric in result.metrics if metric.startswith("samples/")}
    assert sampled == set(run.prior_names())

    for checkpoint in run.path.rglob("*.ckpt"):
        assert torch.load(checkpoint, weights_only=True)["state_dict"]
    config = OmegaConf.load(run.path / "config.yaml")
    assert config.seed == 3
    assert run.prior_names() == sorted(config.prior)

    expected = {"reconstructions.png", "interpolations.png", "latent_space.png"}
    expected |= {f"samples_{prior}.png" for prior in run.prior_names()}
    expected |= {"codebook_usage.png", "code_maps.png"} if name == "vqvae" else set()
    assert {path.name for path in run.images.glob("*.png")} == expected
    strips = {path.name for path in (run.images / "strips").iterdir()}
    assert strips == {"originals.png", "reconstructions.png", *(f"samples_{prior}.png" for prior in run.prior_names())}

    header, *rows = (run.path / "metrics.csv").read_text().splitlines()
    assert header == "step,name,value"
    assert {"train/objective", "val/objective", "val/mse"} <= {row.split(",")[1] for row in rows}
    check_python_api(run)


def check_python_api(run):
    images = run.data.images("test")
    x = images[:5]
    assert x.shape == (5, 1, 28, 28)
    torch.testing.assert_close(run.reconstruct(x), run.decode(run.encode(x)))
    path = run.interpolate(x[:2], x[2:4], steps=3)
    assert path.shape == (2, 3, 1, 28, 28)
    torch.testing.assert_close(path[:, 2], run.reconstruct(x[2:4]))
    first, second, other = (run.sample(4, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (4, 1, 28, 28)
    assert first.equal(second)
    assert not first.equal(other)
    mse = (run.reconstruct(images) - images).double().square().mean().item()
    assert run.result.metrics["reconstruction/mse"] == pytest.approx(mse, rel=1e-6)


# From Python

SCRIPT = """
import sys
import aevq
from hydra.core.hydra_config import HydraConfig

runs = [aevq.fit(*sys.argv[1:]) for _ in range(2)]
assert not HydraConfig.initialized()
assert runs[0].path != runs[1].path
assert [run.result.status for run in runs] == ["finished", "finished"]
assert runs[0].result.metrics == runs[1].result.metrics
assert runs[1].sample(2).shape == (2, 1, 28, 28)
assert aevq.fit(*sys.argv[1:], "seed=1").result.metrics != runs[0].result.metrics
"""


def test_fit_trains_in_a_plain_python_process_to_what_the_seed_decides(tmp_path):
    command = [sys.executable, "-c", SCRIPT, *SMALL_VAE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("runs/*_s0*/result.json"))) == 2


def test_fit_refuses_a_wrong_override_and_resumes_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="model=vea: unknown; did you mean 'vae'"):
        aevq.fit("model=vea")
    assert not list(tmp_path.iterdir())
    run = aevq.fit(*SMALL_VAE)
    again = aevq.fit("resume=latest", "trainer.max_steps=6")
    assert (again.result.resumed, again.result.train["steps"]) == (1, 6)
    assert aevq.load("latest").path == again.path != run.path


def test_the_model_is_built_once_and_each_training_has_one_trainer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built = []
    for cls in (pl.Trainer, VQVAE, PixelCNN, MNISTDataModule):
        construct = cls.__init__

        def counted(self, *args, cls=cls, construct=construct, **kwargs):
            built.append(cls)
            construct(self, *args, **kwargs)

        counted.__wrapped__ = construct  # aevq asks for the signature
        monkeypatch.setattr(cls, "__init__", counted)
    aevq.fit(*SMALL_VQVAE)
    assert {cls: built.count(cls) for cls in built} == {MNISTDataModule: 1, VQVAE: 1, PixelCNN: 1, pl.Trainer: 2}


# Check everything, then write


def test_debug_shows_the_traceback(command):
    code, _, err = command(train_main, "model.latent_dim=0", "debug=true")
    assert code == 1
    assert "Traceback" in err
    assert err.strip().splitlines()[-1] == "error: model.latent_dim: should be greater than 0, got 0"


# How a run ends


def test_a_failed_run_records_its_error(command, monkeypatch, tmp_path):
    def fail(*_):
        raise RuntimeError("the power went out")

    monkeypatch.setattr("aevq.training.fit.fit_priors", fail)
    with pytest.raises(RuntimeError, match="the power went out"):
        command(train_main, *SMALL_VAE)
    result = aevq.load("latest").result
    assert (result.status, result.error) == ("failed", "RuntimeError: the power went out")
    assert result.metrics == {}


@pytest.fixture
def interrupted(monkeypatch):
    """Lets a training step raise KeyboardInterrupt after the first validation."""

    def interrupt(cls):
        step = cls.training_step

        def interrupted_step(self, batch, batch_idx):
            if self.global_step == 3:
                raise KeyboardInterrupt
            return step(self, batch, batch_idx)

        monkeypatch.setattr(cls, "training_step", interrupted_step)
        return lambda: monkeypatch.setattr(cls, "training_step", step)

    return interrupt


@pytest.mark.parametrize("cls", [VQVAE, PixelCNN])
def test_an_interrupted_run_resumes_in_its_own_folder_to_the_same_end(cls, command, interrupted):
    """Interrupted in either stage, a run equals one that was never interrupted."""
    arguments = [*SMALL_VQVAE, "prior.pixelcnn.max_steps=4"]
    command(train_main, *arguments)
    whole = aevq.load("latest")
    restore = interrupted(cls)
    code, _, err = command(train_main, *arguments)
    restore()
    run = aevq.load("latest")
    assert code == 130
    assert f"to resume: python -m aevq.train resume={run.path}" in err
    assert run.path != whole.path
    assert run.result.status == "interrupted"

    code, _, _ = command(train_main, "resume=latest")
    assert code == 0
    resumed = aevq.load("latest")
    assert resumed.path == run.path
    assert resumed.result.resumed == 1
    assert_same(resumed, whole)
    steps = [tuple(row.split(",")[:2]) for row in (run.path / "metrics.csv").read_text().splitlines()[1:]]
    assert len(steps) == len(set(steps))


def test_a_job_that_its_scheduler_starts_again_resumes_its_run_and_finishes_once(command, interrupted, monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    by_torchrun = {"TORCHELASTIC_RUN_ID": "job7", "RANK": 0, "LOCAL_RANK": 0, "GROUP_RANK": 0, "WORLD_SIZE": 1}
    for name, value in (by_torchrun | {"LOCAL_WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1"}).items():
        monkeypatch.setenv(name, str(value))
    restore = interrupted(VAE)
    assert command(train_main, *SMALL_VAE)[0] == 130
    restore()
    for resumed in (1, 1):
        assert command(train_main, *SMALL_VAE)[0] == 0
        run = aevq.load("latest")
        assert run.path.name.startswith("job7-")
        assert (run.result.status, run.result.resumed) == ("finished", resumed)
    assert RUN_FOLDER not in os.environ


def test_a_finished_run_has_nothing_to_resume(command):
    command(train_main, *SMALL_VAE)
    before = aevq.load("latest")
    code, out, _ = command(train_main, "resume=latest")
    assert code == 0
    assert "nothing to resume" in out
    assert aevq.load("latest").path == before.path


def test_a_finished_run_is_continued_in_a_copy_and_fits_its_priors_again(command):
    """Ten steps at once, or four and then six: the same run, and the first four stay what they were."""
    arguments = ["model=ae", "prior=fitted_normal", *QUICK, "model.network.hidden=[32]", "model.schedule=null"]
    command(train_main, *arguments, "trainer.max_steps=8")
    whole = aevq.load("latest")
    command(train_main, *arguments)
    first = aevq.load("latest")
    before = file_hashes(first.path)
    code, _, err = command(train_main, "resume=latest", "trainer.max_steps=8", "tags=[longer]")
    assert code == 0, err
    longer = aevq.load("latest")
    assert longer.path not in (first.path, whole.path)
    assert_same(longer, whole)
    assert (longer.config.trainer.max_steps, longer.config.tags) == (8, ["longer"])
    assert file_hashes(first.path) == before


def test_what_is_fitted_and_measured_later_can_change(command):
    command(train_main, *SMALL_VAE, "prior=mixture", "prior.mixture.num_components=2")
    code, _, err = command(train_main, "resume=latest", "prior.mixture.num_components=3", "evaluation.samples=20")
    assert code == 0, err
    run = aevq.load("latest")
    assert len(run.prior("mixture").weights) == 3
    assert "samples/mixture/fd" in run.result.metrics
    assert run.result.train["steps"] == 4


def test_a_run_with_all_loggers_is_resumed(command, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    code, _, err = command(train_main, *SMALL_VAE, "logger=many")
    assert code == 0, err
    code, _, err = command(train_main, "resume=latest", "trainer.max_steps=6")
    assert code == 0, err
    assert aevq.load("latest").result.train["steps"] == 6


# What can be chosen


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("vqvae", [*SMALL["vqvae"], "prior.pixelcnn.conditional=true"]),
        pytest.param("ae", SMALL["ae"], marks=pytest.mark.slow),
        pytest.param("vae", ["model/network=conv", "data.binarize=dynamic"], marks=pytest.mark.slow),
    ],
)
def test_stacked_digits_need_only_the_name_of_the_data_set(name, choices, command):
    code, out, err = command(train_main, f"model={name}", "seed=3", *QUICK, *STACKED, *choices)
    assert code == 0, err
    run = aevq.load("latest")
    assert run.path.name.endswith(f"_{name}_stacked_mnist5k_s3")
    assert run.result.data["name"] == "stacked_mnist5k"
    assert run.result.data["sizes"] == {"train": 200, "val": 40, "test": 60}
    prior = run.prior_names()[0]
    assert run.result.metrics[f"samples/{prior}/mode_samples"] == 50
    assert 1 <= run.result.metrics[f"samples/{prior}/modes"] <= 50
    assert "mode_kl" in out
    assert run.sample(3, prior=prior).shape == (3, 3, 28, 28)
    assert run.reconstruct(run.data.images("test")[:2]).shape == (2, 3, 28, 28)
    for strip in (run.images / "strips").iterdir():
        with Image.open(strip) as image:
            assert image.mode == "RGB"


def test_sample_writes_images_of_a_finished_run(command, tmp_path):
    command(train_main, *SMALL_VAE)
    code, out, _ = command(sample_main, "run=latest", "n=4", "seed=2", "out=a.png")
    assert code == 0
    assert out.strip() == "a.png"
    command(sample_main, "run=latest", "n=4", "seed=2", "out=b.png")
    command(sample_main, "run=latest", "n=4", "seed=3", "out=c.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c
    for argument, message in {
        "run=nowhere": "error: run: no run 'nowhere'",
        "prior=standard_norml": "did you mean 'standard_normal'",
        "n=0": "error: n: ",
        "m=3": "error: m: unknown option",
        "n=many": "error: n: ",
        "n=5001": "error: n: should be less than or equal to 5000",
        "n=1e20": "error: n: should be a valid integer, got 1e+20",
        f"n={10**20}": "error: n: should be less than or equal to 5000",
        f"seed={10**22}": "error: seed: should be less than 4294967296",
        "out=.": "error: out: expected a file that ends in .png, got '.'",
        "out=a.gif": "error: out: expected a file that ends in .png",
        "out=nowhere/a.png": "error: out: cannot write nowhere/a.png",
        "trust=[x": "error: trust: expected a value that YAML can read, got '[x'",
        "n=@x": "error: n: expected a value that YAML can read",
        "seed=a: b: c": "error: seed: expected a value that YAML can read",
        "run=@x": "error: run: no run '@x'",
        f"run={'a' * 300}": "File name too long",
        "run=\udcff": "error: run=\\udcff: expected text in UTF-8",
    }.items():
        code, _, err = command(sample_main, argument)
        assert code == 1
        assert message in err
        assert len(err.strip().splitlines()) == 1


def test_probes_are_trained_if_they_are_asked_for_and_two_dimensions_drawn_as_a_plane(command):
    code, _, err = command(train_main, *SMALL_VAE, "model.latent_dim=2", "prior=none", "evaluation.probes=true")
    assert code == 0, err
    run = aevq.load("latest")
    assert {"probe/latent/linear", "probe/pixels/knn"} <= run.result.metrics.keys()
    assert (run.images / "manifold.png").is_file()


def test_a_sweep_of_another_launcher_over_all_three_models_has_a_run_for_each(command, tmp_path):
    small = ["trainer.max_steps=2", "trainer.val_check_interval=2", "plots.map_points=60", "evaluation.samples=20"]
    sweep = ["-m", "experiment=smoke", "hydra/launcher=basic", "prior_max_steps=1", "trainer=cpu", *small]
    code, _, err = command(train_main, *sweep)
    assert code == 0, err
    (folder,) = (tmp_path / "runs" / "sweep").iterdir()
    results = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/result.json"))}
    assert list(results) == ["0_ae_mnist5k_s0", "1_vae_mnist5k_s0", "2_vqvae_mnist5k_s0"]
    assert {result["status"] for result in results.values()} == {"finished"}
    assert (folder / "report" / "index.html").is_file()


@pytest.mark.parametrize("name", ["fast_dev_run", "overfit", "profile"])
def test_each_debug_setting_makes_a_finished_run(name, command):
    limits = {"fast_dev_run": [], "overfit": ["trainer.max_steps=4"], "profile": ["trainer.max_steps=4"]}[name]
    quick = ["data=mnist5k", "trainer=cpu", "plots.map_points=60", "trainer.enable_progress_bar=false"]
    code, out, err = command(train_main, "model=vae", f"debug={name}", *quick, *limits, *SMALL["vae"])
    assert code == 0, err
    assert aevq.load("latest").result.status == "finished"
    assert ("FIT Profiler Report" in out) == (name == "profile")


def test_parts_that_can_be_left_out_and_values_of_ones_own(command):
    own = ["+my.width=8", "model.network.hidden=[${my.width}]"]
    code, _, err = command(train_main, *SMALL_VAE, "~prior", "callbacks=none", "~logger", "plots=null", *own)
    assert code == 0, err
    run = aevq.load("latest")
    assert (run.result.status, run.prior_names(), list(run.images.iterdir())) == ("finished", [], [])
    assert (run.config.my, run.config.model.network.hidden) == ({"width": 8}, [8])
    code, _, err = command(compare_main, str(run.path))
    assert code == 0, err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ae_best", "vae_best", "vqvae_best", "vqvae_prior_best", "vqvae_sampling"])
def test_the_large_presets_take_two_steps(name, command):
    steps = ["trainer.max_steps=2", "trainer.val_check_interval=2", "trainer.limit_val_batches=1"]
    learned = {"ae_best": "flow_matching", "vae_best": None}.get(name, "transformer")
    prior = [f"prior.{learned}.max_steps=2", f"prior.{learned}.batch_size=4"] if learned else []
    short = [*steps, *prior, "prior_max_steps=2", "data=mnist5k", "evaluation.samples=0", "plots=null"]
    code, _, err = command(train_main, f"experiment={name}", *short, "trainer.accelerator=cpu", "data.batch_size=8")
    assert code == 0, err
    assert aevq.load("latest").result.train["steps"] == 2
