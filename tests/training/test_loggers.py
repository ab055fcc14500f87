"""metrics.csv, TensorBoard and Trackio."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import aevq
from aevq.report.plots import save_grid
from aevq.train import main
from aevq.training.loggers import MetricsCSV, TensorBoard
from helpers.run_folders import make_result
from helpers.small_runs import SMALL_VAE


@pytest.fixture
def metrics_csv(tmp_path):
    logger = MetricsCSV()
    logger.start(tmp_path, {}, [])
    return logger


def test_metrics_csv_has_one_row_per_metric_and_is_appended_to(metrics_csv, tmp_path):
    for step in (0, 5):
        metrics_csv.log_metrics({"train/objective": step + 0.5, "epoch": 1.0}, step)
    expected = ["step,name,value", "0,train/objective,0.5", "5,train/objective,5.5"]
    assert (tmp_path / "metrics.csv").read_text().splitlines() == expected


def test_a_resumed_stage_drops_its_own_later_rows_and_no_others(metrics_csv):
    metrics_csv.forget(("train/",), from_step=0)  # there is no file yet
    for step in (1, 2, 3):
        metrics_csv.log_metrics({"train/a": step, "prior/b": step}, step)
    with metrics_csv.path.open("a") as file:
        file.write("4,train/")  # torn by a kill
    metrics_csv.forget(("train/",), from_step=2)
    expected = ["step,name,value", "1,train/a,1.0", "1,prior/b,1.0", "2,prior/b,2.0", "3,prior/b,3.0"]
    assert metrics_csv.path.read_text().splitlines() == expected


BAD_ROWS = [
    b"",
    b"step,na",
    b"4,train/",
    b"4,tr4,train/a,1.0\n",
    b"\0\0\n",
    b"caf\xe9,a,1\n",
    b"x,a,1\n",
    b"1.5,a,1\n",
    b"1,a,b\n",
]


@pytest.mark.fault("a killed run resumes to the same result")
@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_resumed_training_repairs_a_damaged_metrics_csv(bad, metrics_csv):
    """A kill or a full disk between opening the file and its first row leaves it empty; others leave half rows."""
    metrics_csv.path.write_bytes(bad)
    metrics_csv.forget(("train/",), from_step=2)
    metrics_csv.log_metrics({"train/a": 0.5}, 2)
    assert metrics_csv.path.read_text() == "step,name,value\n2,train/a,0.5\n"


def test_an_empty_metrics_csv_gets_its_header(metrics_csv):
    metrics_csv.path.touch()
    metrics_csv.log_metrics({"train/a": 0.5}, 2)
    assert metrics_csv.path.read_text() == "step,name,value\n2,train/a,0.5\n"


def test_tensorboard_that_is_missing_is_named_with_its_extra_and_leaves_no_folder(command, tmp_path, monkeypatch):
    for name in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(f"lightning_fabric.loggers.tensorboard.{name}", False)
    code, _, err = command(main, "logger=tensorboard", *SMALL_VAE)
    assert code == 1
    assert err == "error: logger=tensorboard: not installed; pip install aevq[tensorboard]\n"
    assert not list(tmp_path.iterdir())


def test_tensorboard_gets_the_final_metrics_and_images_at_the_last_step(tmp_path, digits):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    save_grid(digits[:8], 4, "samples", tmp_path / "samples_mixture.png")
    logger = TensorBoard()
    logger.start(tmp_path, {"seed": 0}, ["vae"])
    result = make_result(metrics={"reconstruction/mse": 0.25}, train={"steps": 860})
    logger.publish(result, [tmp_path / "samples_mixture.png"])
    logger.finish(exit_code=0)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("reconstruction/mse")] == [(860, 0.25)]
    (image,) = events.Images("final/samples_mixture")
    assert image.step == 860
    assert image.width > image.height > 100


TRACKIO = """
import json, sys
import aevq
from aevq.evaluate import Options, evaluate
from trackio.sqlite_storage import SQLiteStorage

run = aevq.fit("logger=trackio", "logger.trackio.project=mine", *sys.argv[1:])
evaluate(Options(quick=True, priors=["fitted_normal"]))
names = ("val/mse", "parameters", "samples/fitted_normal/fd")
print(json.dumps([SQLiteStorage.get_metric_values("mine", run.path.name, name) for name in names]))
"""


def test_trackio_has_the_curves_the_final_metrics_and_those_of_a_later_evaluation(tmp_path):
    env = os.environ | {"TRACKIO_DIR": str(tmp_path / "trackio"), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", TRACKIO, *SMALL_VAE]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    errors, parameters, distances = json.loads(done.stdout.splitlines()[-1])
    run = aevq.load(str(tmp_path / "runs" / "latest"))
    steps = run.result.train["steps"]
    assert errors[-1]["step"] == steps - 1
    assert [(each["step"], each["value"]) for each in parameters] == [(steps, run.result.model["parameters"])]
    assert len(distances) == 1
