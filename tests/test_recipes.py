"""The examples of docs/how-to/add-your-own.md: a package outside the checkout, made of the code blocks of that page."""

import json
import os
import re
from pathlib import Path

import pytest

from aevq.errors import UserError
from aevq.runs.run import Run
from helpers.commands import run_command
from helpers.killed_processes import run
from helpers.small_runs import QUICK

ROOT = Path(__file__).parents[1]
SEARCH = "hydra.searchpath=[pkg://mypackage.conf]"
ROUGHNESS = "+evaluation.extra.roughness._target_=mypackage.roughness.Roughness"
LINEAR = ["model=linear", "model.latent_dim=4", "data=mirrored", "prior=[standard_normal,fitted_laplace]", ROUGHNESS]


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The folder that holds `mypackage`."""
    folder = tmp_path_factory.mktemp("outside")
    page = (ROOT / "docs/how-to/add-your-own.md").read_text()
    blocks = re.findall(r"^`(mypackage/[^`]+)`:\n\n```\w+\n(.*?)```", page, re.M | re.S)
    assert len(blocks) == 9
    for name, text in blocks:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for inner in ("mypackage", "mypackage/conf"):
        (folder / inner / "__init__.py").touch()
    return folder


@pytest.fixture(scope="module")
def call(package):
    """Runs `python -m aevq.<command>` in an empty folder with the package on the path; returns its output."""

    def call(command: str, *arguments: str) -> str:
        done = run(command, package, *arguments, path=[str(package)])
        assert done.code == 0, done.out + done.err
        return done.out + done.err

    return call


def quick(*overrides: str) -> list[str]:
    return [*(override for override in QUICK if not override.startswith("data=")), *overrides]


@pytest.fixture(scope="module")
def trained(package, call):
    """One run with a model, a prior, a metric and a data set from outside."""
    call("train", SEARCH, *quick(*LINEAR, "evaluation.samples=20"))
    return package / "runs" / "latest"


def test_train_knows_them(trained):
    result = json.loads((trained / "result.json").read_text())
    assert (result["status"], result["model"]["name"], result["data"]["name"]) == ("finished", "Linear", "mirrored")
    assert result["metrics"]["reconstruction/roughness"] > 0
    assert not [name for name in result["metrics"] if name.startswith("samples/")]  # the feature net knows none of them
    assert (trained / "images" / "samples_fitted_laplace.png").is_file()


def test_evaluate_and_sample_know_them_once_they_are_trusted(trained, call):
    trust = "trust=[mypackage.]"
    call("evaluate", "run=latest", trust, "searchpath=[pkg://mypackage.conf]", "samples=20", "quick=true")
    metrics = json.loads((trained / "evaluation.json").read_text())["metrics"]
    assert metrics["reconstruction/roughness"] > 0
    png = call("sample", "run=latest", trust, "prior=fitted_laplace", "n=4").strip().splitlines()[-1]
    assert Path(trained.parent.parent, png).is_file()


def test_their_classes_are_refused_until_they_are_trusted(trained, call):
    with pytest.raises(UserError, match=r"mypackage\.linear\.Linear' is not a class of aevq; refused"):
        _ = Run(trained.resolve()).model
    call("train", "resume=latest", "trainer.max_steps=6", "trust=[mypackage.]")
    assert Run(trained.resolve()).result.train["steps"] == 6


def test_compare_shows_the_metric_with_its_title(trained, call):
    call("compare", str(trained), "out=report")
    table = (trained.parent.parent / "report" / "comparison.csv").read_text()
    assert "reconstruction/roughness" in table
    assert "roughness" in (trained.parent.parent / "report" / "index.html").read_text()


def test_jobs_of_a_sweep_know_them_too(package):
    path = os.pathsep.join([str(package), str(ROOT)])
    arguments = [*quick(*LINEAR, "seed=1", "paths.runs=swept"), SEARCH]
    done = run_command("train", package, "-m", *arguments, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in package.glob("swept/sweep/*/*/result.json")]
    assert [result["status"] for result in results] == ["finished"]


def test_a_codebook_update_by_config_dir(package, call):
    small = ["model.network.channels=[4,8]", "model.num_codes=16", "prior=none", "data=mnist5k"]
    folder = str(package / "mypackage" / "conf")
    call("train", "--config-dir", folder, *quick("model=vqvae", "model/codebook_update=batch_mean", *small))
    config = (package / "runs" / "latest" / "config.yaml").read_text()
    assert "mypackage.batch_mean.BatchMean" in config
