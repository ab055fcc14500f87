"""A metric from a package of one's own: one Python file, no yaml; every command knows it."""

import json
import sys

import pytest

import aevq
from aevq.compare import main as compare_main
from aevq.evaluate import main as evaluate_main
from aevq.sample import main as sample_main
from aevq.train import main as train_main
from helpers.small_runs import QUICK, SMALL

ROUGHNESS = """
from aevq.metrics.catalogue import Metric
from aevq.metrics.subject import Measure, Subject

class Roughness(Measure):
    metrics = (Metric("reconstruction/roughness", "wrinkles", "mean step between neighbours", "lower", "grey levels"),)

    def __init__(self, levels: int = 255) -> None:
        self.levels = levels

    def __call__(self, subject: Subject) -> dict[str, float]:
        return {"reconstruction/roughness": self.levels * float(subject.x_hat.diff(dim=-1).abs().mean())}
"""
EXTRA = "evaluation.extra.roughness._target_=mypackage.roughness.Roughness"
NAME = "reconstruction/roughness"
FAST = ["samples=0", "importance_samples=0", "probes=false", "memorisation=false", "priors=[standard_normal]"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere" / "mypackage"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "roughness.py").write_text(ROUGHNESS)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "mypackage"]:
        del sys.modules[name]


def train(command, *overrides):
    code, out, err = command(train_main, "model=vae", *QUICK, *SMALL["vae"], *overrides)
    assert code == 0, err
    return aevq.load("latest"), out


def evaluation(run):
    return json.loads((run.path / "evaluation.json").read_text())


def test_train_evaluate_sample_and_compare_know_it(package, command):
    run, out = train(command, f"+{EXTRA}", "+evaluation.extra.roughness.levels=10")
    value = run.result.metrics[NAME]
    assert value > 0
    assert [line.split()[-2:] for line in out.splitlines() if NAME in line] == [["grey", "levels"]]
    assert [metric["title"] for metric in run.result.extra_metrics] == ["wrinkles"]
    assert command(evaluate_main, *FAST, "trust=[mypackage.]")[0] == 0
    assert evaluation(run)["metrics"][NAME] == pytest.approx(value)
    assert evaluation(run)["settings"]["extra"]["roughness"]["levels"] == 10
    assert evaluation(run)["extra_metrics"] == run.result.extra_metrics
    assert command(sample_main, "n=2")[0] == 0
    assert command(compare_main, str(run.path), "out=report")[0] == 0
    page = (run.path.parents[1] / "report" / "index.html").read_text()
    for text in ("wrinkles", "↓", "grey levels", "mean step between neighbours"):
        assert text in page


def test_an_untrusted_run_is_evaluated_without_it(package, command, caplog):
    run, _ = train(command, f"+{EXTRA}")
    sys.modules.pop("mypackage.roughness")
    assert command(evaluate_main, *FAST)[0] == 0
    assert NAME not in evaluation(run)["metrics"]
    assert "evaluation.extra.roughness._target_: 'mypackage.roughness.Roughness'" in caplog.text
    assert "mypackage.roughness" not in sys.modules


def test_a_run_that_was_made_without_it_is_measured_later(package, command):
    run, _ = train(command)
    assert command(evaluate_main, *FAST, EXTRA.removeprefix("evaluation."))[0] == 0
    assert evaluation(run)["metrics"][NAME] > 0
    assert command(evaluate_main, *FAST)[0] == 0
    assert [metric["name"] for metric in evaluation(run)["extra_metrics"]] == [NAME]  # kept, as its value is
    assert NAME in evaluation(run)["metrics"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (f"+{EXTRA.replace('Roughness', 'Smoothness')}", "evaluation.extra.roughness._target_"),
        ("+evaluation.extra.mse._target_=aevq.nn.Bernoulli", "extra: should be an instance of Measure"),
    ],
)
def test_a_bad_metric_is_refused_before_anything_is_written(override, message, package, command, tmp_path):
    code, _, err = command(train_main, "model=vae", *QUICK, *SMALL["vae"], override)
    assert code == 1
    assert message in err
    assert not (tmp_path / "runs").exists()
