import csv
import json
import subprocess
import sys

import pytest

from aevq.errors import UserError
from aevq.report.plots.grids import save_grid
from aevq.runs.result import Result
from aevq.training.loggers import MetricsCSV, finish, label, publish, tensorboard, weights_and_biases


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_metrics_csv_is_one_row_a_figure_and_grows(tmp_path):
    for step in (0, 5):
        MetricsCSV(str(tmp_path)).log_metrics({"train/objective": step + 0.5, "epoch": 1.0}, step)
    assert rows(tmp_path / "metrics.csv") == [
        ["step", "name", "value"],
        ["0", "train/objective", "0.5"],
        ["5", "train/objective", "5.5"],
    ]


def test_a_resumed_stage_forgets_its_own_later_rows_and_no_others(tmp_path):
    logger = MetricsCSV(str(tmp_path))
    for step in (1, 2, 3):
        logger.log_metrics({"train/a": step, "prior/b": step}, step)
    with logger.path.open("a") as file:
        file.write("4,train/")  # torn by a kill
    logger.forget(("train/",), from_step=2)
    kept = [(int(step), name) for step, name, _ in rows(logger.path)[1:]]
    assert kept == [(1, "train/a"), (1, "prior/b"), (2, "prior/b"), (3, "prior/b")]


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


def test_a_mode_that_wandb_does_not_have_is_named(no_key, tmp_path):
    with pytest.raises(UserError, match=r"logger\.wandb\.mode: expected .*got 'ofline'"):
        weights_and_biases(str(tmp_path), "aevq", "ofline", None, [], None)


def inspect(run_dir, *options):
    """What W&B's own reader says of the latest offline run in a folder."""
    file = sorted((run_dir / "wandb").glob("offline-run-*/*.wandb"))[-1]
    command = [sys.executable, "-m", "wandb", "leet", "inspect", *options, "--json", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def result_of(metrics, steps=5):
    model = {"name": "VAE", "target": "aevq.models.VAE", "parameters": 7}
    data = {"name": "mnist", "fingerprint": {}, "sizes": {}}
    return Result("2026_vae", "finished", model, data, 0, "", "", metrics=metrics, train={"steps": steps})


def test_an_offline_run_holds_figures_and_goes_on_under_its_own_id(no_key, tmp_path, capfd):
    run_dir = tmp_path / "2026_vae"
    run_dir.mkdir()
    for step in (1, 2):
        logger = weights_and_biases(str(run_dir), "aevq", "auto", None, ["a"], None)
        logger.log_metrics({"train/objective": 3.0 / step}, step)
        publish([logger], result_of({"reconstruction/mse": 0.25}), [], [])
        finish([logger], exit_code=0)
    files = sorted((run_dir / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    assert len({file.name for file in files}) == 1
    summary = json.loads(inspect(run_dir, "--summary"))["summary"]
    assert summary["reconstruction/mse"] == 0.25
    assert summary["trainer/global_step"] == 2
    assert summary["comparison"]["nrows"] == 1
    assert "anonymous" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("of_the_sweep", "own", "expected"),
    [("a-sweep", None, "a-sweep"), ("a-sweep", "mine", "mine"), (None, None, None)],
)
def test_a_run_is_in_the_group_of_its_sweep_unless_it_names_its_own(
    of_the_sweep, own, expected, no_key, monkeypatch, tmp_path
):
    monkeypatch.delenv("WANDB_RUN_GROUP", raising=False)
    if of_the_sweep:
        monkeypatch.setenv("WANDB_RUN_GROUP", of_the_sweep)
    logger = weights_and_biases(str(tmp_path), "aevq", "offline", own, ["a"], None)
    label([logger], "vae", "mnist", "a")
    finish([logger], exit_code=0)
    records = [json.loads(line) for line in inspect(tmp_path).splitlines()]
    runs = [record["run"] for record in records if record["type"] == "run"]
    assert {run.get("run_group") for run in runs} == {expected}
    assert json.loads(inspect(tmp_path, "--summary"))["tags"] == ["a", "vae", "mnist"]


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("2026-01-31_12-00-59_vae_mnist_s3", "vae_mnist"),
        ("0_vqvae_fashion_mnist_s12_num_codes=64_lr=1e-3", "vqvae_fashion_mnist_num_codes=64_lr=1e-3"),
        ("11_ae_mnist5k_s0-2", "ae_mnist5k"),
    ],
)
def test_runs_that_differ_in_the_seed_alone_share_a_setting(name, setting, no_key, tmp_path):
    (tmp_path / name).mkdir()
    logger = weights_and_biases(str(tmp_path / name), "aevq", "disabled", None, [], None)
    assert logger.experiment.config["setting"] == setting
    finish([logger], exit_code=0)


def test_tensorboard_gets_final_figures_and_pictures_at_the_last_step(tmp_path, digits):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    save_grid(digits[:8], 4, "samples", tmp_path / "samples_mixture.png")
    logger = tensorboard(str(tmp_path))
    result = result_of({"reconstruction/mse": 0.25}, steps=860)
    publish([logger], result, ["mixture"], [tmp_path / "samples_mixture.png"])
    finish([logger], exit_code=0)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("reconstruction/mse")] == [(860, 0.25)]
    (picture,) = events.Images("final/samples_mixture")
    assert picture.step == 860
    assert picture.width > picture.height > 100
