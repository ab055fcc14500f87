"""Runs on Weights & Biases: mode, key, group, tags, and what an offline run holds."""

import json
import subprocess
import sys

import pytest

from aevq.errors import UserError
from aevq.train import end_sweep
from aevq.training.wandb import Wandb, logged_in
from helpers.run_folders import make_result, make_run, sweep_of


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_RUN_GROUP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


class FakeRun:
    """In place of a W&B run."""

    id, url = "abc", ""

    def __init__(self, **arguments):
        self.arguments, self.config = arguments, self
        self.dir = str(arguments["dir"] / "wandb" / "files")
        self.axes, self.defined, self.rows = {}, [], []
        self.log = self.rows.append

    def define_metric(self, name, step_metric=None, **_):
        self.axes[name] = step_metric
        self.defined.append(name)

    def update(self, *_, **__):
        """Accept it."""


@pytest.fixture
def started(no_key, monkeypatch, tmp_path):
    """Returns a logger that has started a fake run."""

    def start(config=None, folder=tmp_path, **arguments):
        folder.mkdir(exist_ok=True)
        logger = Wandb(**arguments)
        logger.start(folder, config or {"seed": 0}, ["vae", "mnist"])
        return logger

    monkeypatch.setattr("wandb.init", FakeRun)
    return start


def inspect(run_dir, *options):
    """Return what W&B's own reader says of the latest offline run in a folder."""
    file = sorted((run_dir / "wandb").glob("offline-run-*/*.wandb"))[-1]
    command = [sys.executable, "-m", "wandb", "leet", "inspect", *options, "--json", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_mode_that_wandb_does_not_have_is_refused():
    with pytest.raises(UserError, match=r"Wandb\.mode: should be .*, got 'ofline'; did you mean 'offline'"):
        Wandb(mode="ofline")


@pytest.mark.parametrize("stored_as", ["the server's name", "its older name"])
def test_a_key_in_netrc_is_found(stored_as, no_key, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    machine = "wandb.example.org" if stored_as == "the server's name" else "api.wandb.ai"
    assert not logged_in()
    (tmp_path / "netrc").write_text(f"machine {machine} login user password {'x' * 40}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert logged_in()


KEY = {"WANDB_API_KEY": "x" * 40}
SWEPT = {"WANDB_RUN_GROUP": "a-sweep"}


@pytest.mark.parametrize(
    ("environment", "arguments", "name", "expected"),
    [
        ({}, {"mode": "auto"}, "mode", "offline"),
        (KEY, {"mode": "auto"}, "mode", "online"),
        (KEY | {"WANDB_MODE": "disabled"}, {"mode": "auto"}, "mode", "disabled"),
        (KEY | {"WANDB_MODE": "disabled"}, {"mode": "offline"}, "mode", "offline"),
        (SWEPT, {}, "group", "a-sweep"),
        (SWEPT, {"group": "mine"}, "group", "mine"),
        ({}, {}, "group", None),
        ({}, {"tags": ["a", "vae"]}, "tags", ("a", "vae", "mnist")),
    ],
)
def test_mode_group_and_tags_of_a_run(environment, arguments, name, expected, started, monkeypatch):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert started(**arguments).experiment.arguments[name] == expected


def test_the_runs_of_a_sweep_of_any_launcher_form_a_group(started, tmp_path):
    assert started().experiment.arguments["group"] is None
    (tmp_path / "multirun.yaml").touch()
    assert started(folder=tmp_path / "0_vae").experiment.arguments["group"] == tmp_path.name


def test_runs_that_differ_only_in_the_seed_share_a_setting(started):
    """Their folders' names do not matter: a single run and a job of any launcher are named differently."""
    first = {"seed": 1, "model": {"latent_dim": 2}, "prior": {"pixelcnn": {"seed": 1}}, "paths": {"runs": "a"}}
    same = {"seed": 2, "model": {"latent_dim": 2}, "prior": {"pixelcnn": {"seed": 2}}, "paths": {"runs": "b"}}
    other = first | {"model": {"latent_dim": 4}}
    settings = [started(config).experiment.arguments["config"]["setting"] for config in (first, same, other)]
    assert settings[0] == settings[1] != settings[2]
    assert all(setting.startswith("vae_mnist-") for setting in settings)


def test_each_stage_counts_its_own_steps(started):
    logger = started()
    logger.log_metrics({"val/objective": 1.0, "epoch": 3}, 59)
    for step in (9, 19):
        logger.log_metrics({"prior/pixelcnn/val_nats": 2.0, "prior/pixelcnn/val_bits": 3.0, "epoch": 0}, step)
    model, *prior = logger.experiment.rows
    assert model == {"val/objective": 1.0, "epoch": 3, "trainer/global_step": 59}
    nats = {"prior/pixelcnn/val_nats": 2.0, "prior/pixelcnn/val_bits": 3.0}
    assert prior == [nats | {"prior/pixelcnn/step": step} for step in (9, 19)]
    axes = logger.experiment.axes
    assert axes["*"] == "trainer/global_step"
    assert {axes[name] for name in nats} == {"prior/pixelcnn/step"}
    assert sorted(logger.experiment.defined) == sorted(axes), "each axis is defined once"


def test_an_offline_run_holds_the_metrics_and_is_continued_under_its_own_id(no_key, tmp_path, capfd, caplog):
    folder = tmp_path / "2026_vae"
    folder.mkdir()
    for step in (1, 2):
        logger = Wandb(tags=["a"])
        logger.start(folder, {"seed": 0}, ["vae"])
        logger.log_metrics({"train/objective": 3.0 / step}, step)
        logger.publish(make_result(metrics={"reconstruction/mse": 0.25}, train={"steps": 5}), [])
        logger.finish(exit_code=0)
    files = sorted((folder / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    assert len({file.name for file in files}) == 1
    inspected = json.loads(inspect(folder, "--summary"))
    assert inspected["tags"] == ["a", "vae"]
    summary = inspected["summary"]
    assert summary["reconstruction/mse"] == 0.25
    assert summary["trainer/global_step"] == 2
    assert "anonymous" not in capfd.readouterr().err
    assert "upload this run later with: wandb sync" in caplog.text


def test_wandb_shows_the_best_value_of_a_curve_beside_the_last(started, monkeypatch):
    summaries = {}
    logger = started()
    monkeypatch.setattr(
        logger.experiment, "define_metric", lambda name, summary=None, **_: summaries.update({name: summary})
    )
    logger.log_metrics({"val/mse": 0.5, "val/codebook_usage": 0.5, "train/learning_rate": 0.1}, 1)
    assert summaries == {"val/mse": "min,last", "val/codebook_usage": "max,last", "train/learning_rate": None}


@pytest.mark.parametrize(
    ("artifacts", "expected"),
    [("none", None), ("best", ["best.ckpt"]), ("all", ["best.ckpt", "last.ckpt", "priors/mixture.safetensors"])],
)
def test_the_weights_of_a_finished_run_are_uploaded_as_asked(artifacts, expected, started, monkeypatch, tmp_path):
    for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "priors/mixture.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    uploaded = []
    logger = started(artifacts=artifacts)
    for name in ("log_artifact", "summary"):
        monkeypatch.setattr(FakeRun, name, logger.experiment, raising=False)
    monkeypatch.setattr(FakeRun, "log_artifact", lambda _, artifact: uploaded.append(artifact), raising=False)
    logger.publish(make_result(metrics={"reconstruction/mse": 0.25}), [])
    assert [sorted(each.manifest.entries) for each in uploaded] == ([] if expected is None else [expected])


def test_a_sweep_has_one_table_in_a_run_of_its_own(no_key, tmp_path):
    sweep = tmp_path / "2026-01-01"
    config = ["logger.wandb._target_=aevq.training.wandb.Wandb"]
    metrics = {"reconstruction/mse": 0.25, "samples/mixture/fd": 4.0, "samples/standard_normal/fd": 5.0}
    make_run(sweep / "0_ae", "AE", metrics=metrics, config=config)
    make_run(sweep / "1_vae", "VAE", config=config)
    sweep_of(sweep, [("0_ae", "finished", None), ("1_vae", "finished", None)])
    end_sweep(sweep)
    (file,) = (sweep / "wandb").glob("offline-run-*/*.wandb")
    summary = json.loads(inspect(sweep, "--summary"))
    assert set(summary["tags"]) == {"comparison"}
    table = json.loads((file.parent / "files" / summary["summary"]["comparison"]["path"]).read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [(row["run"], row["prior"], row["samples/fd"]) for row in rows] == [
        ("0_ae", "mixture", 4.0),
        ("0_ae", "standard_normal", 5.0),
        ("1_vae", None, None),
    ]
    assert "report" in summary["summary"]


def test_metrics_of_a_later_evaluation_are_added_to_the_finished_run(no_key, tmp_path):
    folder = tmp_path / "2026_vae"
    folder.mkdir()
    new = Wandb()
    new.amend(folder, {"seed": 0}, ["vae"], {"samples/flow/fd": 1.5})
    assert not (folder / "wandb").exists()  # it was never logged to W&B
    logger = Wandb()
    logger.start(folder, {"seed": 0}, ["vae"])
    logger.finish(exit_code=0)
    new.amend(folder, {"seed": 0}, ["vae"], {"samples/flow/fd": 1.5})
    files = sorted((folder / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    assert len({file.name for file in files}) == 1, "the same run"
    assert json.loads(inspect(folder, "--summary"))["summary"]["samples/flow/fd"] == 1.5
