"""The command `python -m aevq.evaluate`, as a user types it, on small finished runs."""

import json
from pkgutil import resolve_name

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning.strategies import SingleDeviceStrategy

import aevq
from aevq.compare import main as compare_main
from aevq.evaluate import main as evaluate_main
from aevq.metrics.generate import encode_splits
from aevq.models import VAE
from aevq.priors import FittedNormal
from aevq.runs.result import write_result
from aevq.sample import main as sample_main
from aevq.train import main as train_main
from helpers.small_runs import QUICK, SMALL

SMALL_PRIORS = "priors=[standard_normal,fitted_normal]"
LITTLE = [
    *("samples=20", "likelihood_images=5", "importance_samples=3", "prior_importance_samples=2"),
    *("memorisation=false", "probes=false", "label_accuracy=false"),
]


@pytest.fixture
def run(command):
    """A finished VAE of binary images."""
    binary = ["model/likelihood=bernoulli", "data.binarize=dynamic"]
    code, _, err = command(train_main, "model=vae", *QUICK, *SMALL["vae"], *binary, "prior_max_steps=2")
    assert code == 0, err
    return aevq.load("latest")


def evaluation(run):
    return json.loads((run.path / "evaluation.json").read_text())


def contents(run, *, without):
    files = (path for path in run.path.rglob("*") if path.is_file() and path.name not in without)
    return {path.relative_to(run.path).as_posix(): path.read_bytes() for path in files}


def test_a_missing_prior_is_fitted_and_only_own_files_are_written(run, command):
    before = contents(run, without=())
    code, out, err = command(evaluate_main, SMALL_PRIORS, *LITTLE)
    assert code == 0, err
    after = contents(run, without=())
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {
        "evaluation.json",
        "images/samples_fitted_normal.png",
        "images/strips/samples_fitted_normal.png",
        "priors/fitted_normal.safetensors",
    }
    metrics = evaluation(run)["metrics"]
    for name in ("samples/standard_normal/fd", "samples/fitted_normal/fd", "real/fd", "likelihood/nll"):
        assert metrics[name] == pytest.approx(metrics[name])
        assert name.split("/")[-1] in out
    assert metrics["likelihood/importance_samples"] == 3
    assert metrics["likelihood/prior_importance_samples"] == 2
    assert {"likelihood/fitted_normal_nll", "likelihood/fitted_normal_elbo", "prior/standard_normal/nats"} <= set(
        metrics
    )
    assert metrics["likelihood/nll"] <= -metrics["likelihood/elbo"] + 5
    assert set(evaluation(run)["seconds"]) >= {"reconstruction", "likelihood", "real", "samples fitted_normal"}
    command(evaluate_main, SMALL_PRIORS, *LITTLE)  # the same again
    assert evaluation(run)["metrics"] == metrics
    del after["evaluation.json"]
    assert contents(run, without=("evaluation.json",)) == after


def test_priors_evaluated_one_by_one_end_up_side_by_side_unless_the_seed_differs(run, command):
    for prior, seed in (("standard_normal", 0), ("fitted_normal", 0), ("fitted_normal", 1)):
        command(evaluate_main, f"priors=[{prior}]", *LITTLE, f"seed={seed}")
        found = {name for name in evaluation(run)["metrics"] if name.endswith("_normal/fd")}
        expected = [f"samples/{prior}/fd", *(["samples/standard_normal/fd"] if seed == 0 else [])]
        assert found == set(expected)


def test_a_missing_prior_of_a_run_that_other_devices_trained_is_fitted_here(command):
    small = [override for override in SMALL["vqvae"] if not override.startswith("prior")]
    command(train_main, "model=vqvae", *QUICK, *small, "prior=uniform")
    run = aevq.load("latest")
    config = run.config
    config.trainer.update({"accelerator": "gpu", "devices": 8, "strategy": "ddp"})
    config.prior_max_steps = 2
    (run.path / "config.yaml").write_text(OmegaConf.to_yaml(config))
    code, _, err = command(evaluate_main, "priors=[pixelcnn]", *LITTLE)
    assert code == 0, err
    assert evaluation(run)["metrics"]["rate/pixelcnn_bits"] > 0


def test_the_validation_split_has_a_file_of_its_own(run, command):
    command(evaluate_main, SMALL_PRIORS, *LITTLE, "split=val")
    assert not (run.path / "evaluation.json").exists()
    assert json.loads((run.path / "evaluation_val.json").read_text())["settings"]["split"] == "val"


def test_quick_measures_the_runs_own_priors(run, command):
    code, out, _ = command(evaluate_main, "quick=true", "samples=20")
    assert code == 0
    metrics = evaluation(run)["metrics"]
    assert {name.split("/")[1] for name in metrics if name.startswith("samples/")} == {"standard_normal"}
    assert "likelihood/nll" not in metrics
    assert "likelihood/elbo" in metrics
    assert "seconds" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["priors=[mixtur]"], "did you mean 'mixture'"),
        (["priors=[pixelcnn]"], "'pixelcnn' is not a prior for such latents"),
        (["split=train"], "split: "),
        (["samples=3"], "samples: should be 0 or at least 10, got 3"),
        (["importance_samples=-1"], "importance_samples: "),
        (["sample=20"], "sample: unknown option; did you mean 'samples'"),
        (["extra.a=3"], "extra.a: "),
        (["searchpath=[nowhere]"], "nowhere has no folder prior"),
        (["prior=mixture"], "prior: should be a valid dictionary, got 'mixture'"),
        (["prior.mixture=3"], "prior: should be a valid dictionary, got 3"),
        (["prior.mixture.component=3"], "prior.mixture.component: no such argument; did you mean 'num_components'"),
        (["prior.mixture.num_components=0"], "prior.mixture.num_components: should be greater than 0, got 0"),
        (["prior.mixtur.max_iter=3"], "prior.mixtur: there is no prior of this name for such latents, and no _target_"),
        (
            ["prior.mixture.num_components=9000", "prior.mixture.max_fit=9000"],
            "prior.mixture: needs at least 9000 train",
        ),
        (["prior.mine._target_=aevq.priors.PixelCNN"], "prior.mine: PixelCNN is a prior for grids of codes"),
        (["prior.mine._target_=os.system"], "prior.mine._target_: 'os.system' is not a class of aevq; refused"),
        (
            ["prior.standard_normal._target_=aevq.priors.FittedNormal"],
            "prior.standard_normal: the run has this prior, fitted with other options; use another name: "
            "prior.standard_normal2._target_=aevq.priors.normal.FittedNormal",
        ),
    ],
)
def test_bad_input_gets_one_clear_line_and_writes_nothing(arguments, message, run, command):
    before = contents(run, without=())
    code, _, err = command(evaluate_main, *arguments)
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert contents(run, without=()) == before


def test_an_unfinished_run_is_refused(run, command):
    result = run.result
    result.status = "interrupted"
    write_result(result, run.path / "result.json")
    code, _, err = command(evaluate_main)
    assert code == 1
    assert "interrupted, not finished; resume=" in err


MINE = """
small_mixture:
  _target_: aevq.priors.Mixture
  num_components: 2
  max_fit: 100
  max_iter: 5
  regularization: 1.0e-4
  seed: ${seed}
"""


def test_priors_that_need_no_training_are_fitted_and_others_only_if_they_are_asked_for(run, command, tmp_path):
    (tmp_path / "mine" / "prior").mkdir(parents=True)
    (tmp_path / "mine" / "prior" / "small_mixture.yaml").write_text(MINE)
    assert command(evaluate_main, "priors=[flow]", *LITTLE)[0] == 0
    assert sampled(run) == {"flow"}
    (run.path / "evaluation.json").unlink()
    code, _, err = command(evaluate_main, *LITTLE, "searchpath=[mine]")
    assert code == 0, err
    unasked = {"standard_normal", "fitted_normal", "mixture", "mixture100", "kernel_density", "small_mixture"}
    assert sampled(run) == set(run.prior_names()) == {*unasked, "flow"}, "its training is kept, flow_matching not begun"


def sampled(run):
    return {name.split("/")[1] for name in evaluation(run)["metrics"] if name.startswith("samples/")}


MIXTURE = ["prior.mixture.num_components=3", "prior.mixture.max_iter=5"]
WIDE = [f"prior.wide.{option}" for option in ("_target_=aevq.priors.Mixture", "num_components=4", "max_iter=5")]


def test_priors_with_other_options_and_of_ones_own_name_are_fitted_kept_and_known_to_every_command(run, command):
    code, _, err = command(evaluate_main, "priors=[mixture]", *MIXTURE, *WIDE, *LITTLE)
    assert code == 0, err
    found = evaluation(run)
    assert set(found["priors"]) == set(run.prior_names()) - {"standard_normal"} == {"mixture", "wide"}
    assert [found["priors"][name]["config"]["num_components"] for name in ("mixture", "wide")] == [3, 4]
    assert found["priors"]["wide"]["target"] == "aevq.priors.mixture.Mixture"
    assert found["priors"]["wide"]["parameters"] == run.prior("wide").num_parameters
    assert found["priors"]["wide"]["seconds"] == pytest.approx(run.prior("wide").fit_seconds, abs=1e-3)
    assert found["costs"]["samples/wide/milliseconds"] > 0
    assert found["device"]
    assert run.sample(2, prior="wide").shape == (2, 1, 28, 28)
    assert command(sample_main, "prior=wide", "n=2")[0] == 0
    assert command(compare_main, str(run.path), "out=report")[0] == 0
    report = run.path.parents[1] / "report"
    assert "wide" in (report / "index.html").read_text()
    assert "samples/wide/fd" in (report / "comparison.csv").read_text()


def test_a_fitted_prior_is_used_as_it_is_and_never_replaced(run, command):
    assert command(evaluate_main, *WIDE, "priors=[]", *LITTLE)[0] == 0
    before = contents(run, without=("evaluation.json",))
    for again in (["priors=[wide]"], ["priors=[]", *WIDE], ["priors=[]", "prior.wide.num_components=4"]):
        code, _, err = command(evaluate_main, *again, *LITTLE)
        assert code == 0, err
        assert set(evaluation(run)["priors"]) == {"wide"}
    code, _, err = command(evaluate_main, "prior.wide.num_components=5", *LITTLE)
    assert code == 1
    assert "prior.wide2._target_=aevq.priors.mixture.Mixture prior.wide2.num_components=5" in err
    assert contents(run, without=("evaluation.json",)) == before


def test_a_prior_fitted_to_draws_says_so(run, command):
    code, _, err = command(evaluate_main, "priors=[]", *MIXTURE, "prior.mixture.fit_to=draw", *LITTLE)
    assert code == 0, err
    assert evaluation(run)["priors"]["mixture"]["fit_to"] == "draw"
    assert run.prior("mixture").fit_to == "draw"
    subject = encode_splits(run.model, run.data)
    drawn, means = (-run.prior("mixture").log_prob(z).mean().item() for z in (subject.draws.train, subject.train))
    nats = evaluation(run)["metrics"]["prior/mixture/nats"]
    assert abs(nats - drawn) < 0.3 * abs(nats - means)


def test_fitting_and_measuring_happen_on_the_device_of_the_trainer(run, command, monkeypatch):
    best, seen = torch.device("cpu", 0), {}  # the same as cpu, and not equal to it
    monkeypatch.setattr(SingleDeviceStrategy, "root_device", best)
    for part in (VAE, FittedNormal):
        seen[part] = []
        monkeypatch.setattr(
            part, "to", lambda self, to, seen=seen[part], move=part.to: seen.append(to) or move(self, to)
        )
    fit_priors = resolve_name("aevq.evaluate.fit_priors")
    monkeypatch.setattr(
        "aevq.evaluate.fit_priors", lambda *given: seen.update(fit=list(seen[VAE])) or fit_priors(*given)
    )
    code, _, err = command(evaluate_main, SMALL_PRIORS, *LITTLE)
    assert code == 0, err
    assert seen["fit"] == [best]
    assert seen[VAE] == seen[FittedNormal] == [best, torch.device("cpu")]
