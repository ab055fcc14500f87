"""Files that mean harm: none runs code, acts in another place, or gets into a page.

A stranger can write anything into a run folder. Secrets of this machine must not get into one.
"""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from omegaconf import OmegaConf

import aevq
from aevq.compare import compare
from aevq.config.instantiate import instantiate
from aevq.errors import UserError
from aevq.files import load_plain
from aevq.models import LatentModel
from aevq.priors import load_prior
from aevq.runs.run import Run
from aevq.sweeps import resume_sweep
from aevq.train import main
from helpers.commands import run_command
from helpers.run_folders import make_run, sweep_of
from helpers.small_runs import SMALL_VAE

pytestmark = pytest.mark.hostile


@pytest.fixture
def run(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "runs" / whole.name))


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


# Checkpoints


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt", "bare"])
def test_a_pickle_in_a_checkpoint_or_a_bare_one_is_not_executed(name, run, tmp_path, command):
    path, payload = (
        run / "checkpoints" / ("last.ckpt" if name == "last.ckpt" else "best.ckpt"),
        Payload(tmp_path / "mark"),
    )
    if name == "bare":
        path.write_bytes(pickle.dumps(payload))
    else:
        torch.save(load_plain(path) | {"callbacks": payload}, path)
    with pytest.raises(UserError, match="not a readable checkpoint"):
        LatentModel.load_from_checkpoint(path)
    if name == "last.ckpt":
        code, _, err = command(main, f"resume={run}", "trainer.max_steps=6")
        assert code == 1
        assert err.strip().splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "mark").exists()


def test_a_checkpoint_that_names_files_of_another_place_deletes_none(run, tmp_path, command):
    path, mine = run / "checkpoints" / "last.ckpt", tmp_path / "mine.ckpt"
    mine.write_text("mine")
    checkpoint = load_plain(path)
    for state in checkpoint["callbacks"].values():
        if "best_k_models" in state:
            worst = torch.tensor(1e9)
            names = dict.fromkeys(("best_model_path", "kth_best_model_path", "last_model_path"), str(mine))
            state |= names | {"best_k_models": {str(mine): worst}, "best_model_score": worst, "kth_value": worst}
            state["dirpath"] = str(run / "checkpoints")
    torch.save(checkpoint, path)
    code, _, err = command(main, f"resume={run}", "trainer.max_steps=6")
    assert code == 0, err
    assert mine.read_text() == "mine"


def test_a_checkpoint_that_names_foreign_code_is_refused(run, tmp_path):
    path, mark = run / "checkpoints" / "best.ckpt", tmp_path / "executed"
    checkpoint = load_plain(path)
    checkpoint["model"]["network"] = {"_target_": "pathlib.Path.touch", "self": str(mark)}
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match="refused"):
        LatentModel.load_from_checkpoint(path)
    assert not mark.exists()


# Configurations


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.load",
        "subprocess.Popen",
        # Reached through modules of aevq, which import them for their own use.
        "aevq.models.base.torch.utils.cpp_extension.subprocess.Popen",
        "aevq.runs.run.Path.touch",
        "aevq.runs.folder.FileLock",
        "aevq.training.loggers.csv.writer",
        "aevq.training.callbacks.pl.Trainer",
        "pytorch_lightning.callbacks.ModelCheckpoint",
        "pytorch_lightning.callbacks.OnExceptionCheckpoint",
        "pytorch_lightning.callbacks.LambdaCallback",
    ],
)
def test_a_foreign_target_is_refused(target, tmp_path):
    node = {"_target_": target, "args": f"touch {tmp_path}/executed", "shell": True}
    for config in (node, {"_target_": "aevq.nn.MLP", "hidden": [4], "activation": {"deep": [node]}}):
        with pytest.raises(UserError, match=r"refused|does not exist"):
            instantiate(config, "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("callbacks.bad", {"_target_": "os.system", "command": "touch executed"}),
        ("model.network", {"_target_": "aevq.nn.MLP", "hidden": [{"_target_": "os.getpid"}], "activation": "relu"}),
        ("callbacks.bad", {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": "elsewhere"}),
        ("notes", "${oc.env:HOME}"),
        ("model.network._target_", "${notes}"),
        ("data.name", "../../elsewhere"),
        ("logger.csv.run_dir", "/elsewhere"),
        ("trainer.default_root_dir", "/elsewhere"),
        ("trainer.plugins", [{"_target_": "os.getpid"}]),
        ("trainer._target_", "os.system"),
        ("prior", {"../../../elsewhere": {"_target_": "aevq.priors.StandardNormal"}}),
    ],
)
def test_a_run_whose_configuration_means_harm_is_not_resumed(key, value, run, command, tmp_path):
    config = Run(run).config
    OmegaConf.update(config, key, value, merge=False, force_add=True)
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, _, err = command(main, f"resume={run}", "trainer.max_steps=6")
    (line,) = err.strip().splitlines()
    assert code == 1
    assert line.startswith("error: ")
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in tmp_path.iterdir()} <= {"runs"}


def test_a_yaml_with_a_tag_of_python_creates_no_object(run, tmp_path):
    (run / "config.yaml").write_text(f"seed: !!python/object/apply:pathlib.Path.touch [{tmp_path}/executed]\n")
    with pytest.raises(UserError, match="not a run's configuration"):
        _ = Run(run).config
    assert not (tmp_path / "executed").exists()


# Data


@pytest.mark.parametrize(("size", "problem"), [(6, ""), (2**40, "expected at most")])
def test_a_data_file_that_is_truncated_or_far_too_large_is_one_line_and_leaves_no_run(size, problem, tmp_path, command):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        with (raw / f"{name}-ubyte").open("wb") as file:
            file.truncate(size)  # sparse: it takes no room
    code, _, err = command(main, f"data.root={tmp_path}", *SMALL_VAE[2:])
    assert code == 1
    (line,) = err.strip().splitlines()
    assert f"train-images-idx3-ubyte: {problem}" in line
    assert not (tmp_path / "runs").exists()


# Priors

VECTORS = {"_target_": "aevq.latents.VectorSpec", "dim": 4}
FITTED = {"_target_": "aevq.priors.FittedNormal", "spec": VECTORS}


@pytest.mark.parametrize(
    ("tensors", "config", "message"),
    [
        ({"mean": torch.zeros(5), "cholesky": torch.eye(5)}, FITTED, "size mismatch"),
        ({"mean": torch.zeros(4)}, FITTED, "Missing key"),
        ({"mean": torch.zeros(4)}, {"_target_": "os.system"}, "refused"),
        ({"mean": torch.zeros(4)}, [], "expected a mapping with a _target_"),
        ({"mean": torch.zeros(4)}, FITTED | {"spec": {"_target_": "os.getpid"}}, "refused"),
        ({"mean": torch.zeros(4)}, FITTED | {"spec": 3}, "spec"),
        ({"mean": torch.zeros(4)}, "[" * 10_000, "not a fitted prior"),
    ],
    ids=["other shape", "missing tensor", "foreign code", "no mapping", "foreign spec", "no spec", "deep"],
)
def test_a_file_that_is_no_prior_is_refused(tensors, config, message, tmp_path):
    path = tmp_path / "a.safetensors"
    header = {"prior": config if isinstance(config, str) else json.dumps(config), "fitted_to": ""}
    path.write_bytes(safetensors.torch.save(tensors, metadata=header))
    with pytest.raises(UserError, match=message):
        load_prior(path)


# Sweeps


def write_sweep(path: Path, flags: list[str] | None = None, **changes) -> None:
    """Write a record of one job."""
    job = {"index": 0, "overrides": ["seed=0"], "status": "interrupted", "folder": None} | changes
    content = {"schema_version": 1, "command": "", "started": "", "flags": flags or [], "jobs": [job]}
    (path / "sweep.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        {"folder": "../../elsewhere"},
        {"overrides": ["--config-dir=/tmp/evil"]},
        {"overrides": ["-m"]},
        {"overrides": ["hydra.run.dir=/elsewhere"]},
        {"overrides": ["+hydra.callbacks.bad._target_=os.system"]},
        {"overrides": ["+callbacks@hydra.callbacks=default"]},
        {"index": "../0"},
    ],
    ids=str,
)
def test_a_sweeps_record_that_means_harm_is_not_run(change, tmp_path):
    write_sweep(tmp_path, **change)
    with pytest.raises(UserError):
        resume_sweep([f"resume_sweep={tmp_path}"])
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def test_a_sweeps_folder_of_yaml_is_used_only_if_said_again(tmp_path):
    write_sweep(tmp_path, ["--config-dir", str(tmp_path / "evil")])
    with pytest.raises(UserError, match="other yaml files, which may run any code"):
        resume_sweep([f"resume_sweep={tmp_path}"])


# Reports

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def test_names_that_are_html_are_text_in_the_report(tmp_path):
    make_run(tmp_path / "a", model=f"AE{EVIL}", name=EVIL, config=[f"model.latent_dim={EVIL!r}"])
    make_run(tmp_path / "c", status="failed", error=EVIL)
    for path in tmp_path.glob("*/result.json"):
        values = json.loads(path.read_text())
        values |= {"command": EVIL, "device": EVIL, "git": {"commit": EVIL}, "versions": {EVIL: EVIL}, "started": EVIL}
        path.write_text(json.dumps(values))
    html = compare([tmp_path], out=tmp_path / "report").read_text()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert" in html
    assert "default-src 'none'" in html


def test_the_record_of_a_sweep_leads_a_report_to_no_other_place(tmp_path):
    make_run(tmp_path / "private")
    sweep_of(tmp_path / "sweep", [("../private", "finished", None)])
    with pytest.raises(UserError, match=r"sweep\.json"):
        compare([tmp_path / "sweep"], out=tmp_path / "report")


# Secrets

SECRET = "s3cr3t" + 34 * "x"


def files_with_the_secret(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """A secret wherever one may be: in the environment and in netrc."""
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("SOME_SERVICE_TOKEN", SECRET)
    monkeypatch.setenv("WANDB_MODE", "offline")
    home = tmp_path.parent / f"{tmp_path.name}_home"
    home.mkdir()
    (home / "netrc").write_text(f"machine api.wandb.ai login user password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(home / "netrc"))


def test_no_file_of_a_run_its_report_and_its_wandb_folder_holds_a_secret(planted, command, tmp_path):
    code, out, err = command(main, *SMALL_VAE, "logger=wandb", "notes=a note")
    assert code == 0, err
    run = aevq.load("latest").path
    assert list(run.glob("wandb/offline-run-*/*.wandb"))
    compare([run], out="report")
    assert files_with_the_secret(tmp_path) == []
    assert SECRET not in out + err
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) > 20


@pytest.mark.slow
def test_no_file_of_a_sweep_holds_a_secret(planted, tmp_path):
    done = run_command("train", tmp_path, "-m", "seed=1,2", *SMALL_VAE, "logger=wandb")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "latest_sweep" / "report" / "index.html").is_file()
    assert files_with_the_secret(tmp_path) == []
    assert SECRET not in done.stdout + done.stderr


def test_a_secret_in_an_error_or_in_the_configuration_is_stored_as_a_placeholder(
    planted, command, monkeypatch, tmp_path
):
    def fail(*_):
        raise RuntimeError(f"no access with {SECRET}")

    monkeypatch.setattr("aevq.training.fit.fit_priors", fail)
    with pytest.raises(RuntimeError):
        command(main, *SMALL_VAE, f"notes={SECRET}", "tags=['${oc.env:SOME_SERVICE_TOKEN}']")
    run = aevq.load("latest")
    assert "no access with [secret]" in run.result.error
    assert "notes=[secret]" in run.result.command
    assert (run.config.notes, run.config.tags) == ("[secret]", ["[secret]"])
    assert files_with_the_secret(tmp_path) == []
