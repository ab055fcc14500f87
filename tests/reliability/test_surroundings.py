"""What surrounds a run: the memory, the clock, the terminal, the home folder."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime

import pytest
import torch
from helpers.broken_runs import VAE, the_run

import aevq
from aevq.errors import UserError
from aevq.latents import CodeSpec
from aevq.models import VAE as Model
from aevq.nn.feature_net import FeatureNet
from aevq.nn.memory import by_chunks
from aevq.priors import PixelCNN, pixelcnn
from aevq.runs.folder import find_folder, find_sweep
from aevq.runs.result import read_result
from aevq.sweeps import launch_sweep
from aevq.train import main
from helpers import dying

SAMPLED = ["evaluation.samples=100", "data.eval_batch_size=50"]


def short_of_memory(function, rows):
    """The function, on a device whose memory holds so many rows."""

    def limited(self, x, *args):
        if len(x) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return function(self, x, *args)

    return limited


@pytest.mark.fault("out of memory in evaluation: smaller chunks, and the same figures")
def test_memory_that_holds_a_tenth_of_a_chunk(command, monkeypatch, saw, caplog):
    assert command(main, *VAE, *SAMPLED)[0] == 0
    whole = aevq.load("latest").result.metrics
    for of, name, rows in ((Model, "encode", 60), (Model, "decode", 50), (FeatureNet, "features", 20)):
        monkeypatch.setattr(of, name, short_of_memory(getattr(of, name), rows))
    code, _, err = command(main, *VAE, *SAMPLED)
    assert code == 0, err
    assert "out of memory: going on with 62 at a time" in err
    metrics = aevq.load("latest").result.metrics
    assert metrics.keys() == whole.keys()
    assert metrics == pytest.approx(whole, rel=1e-4)
    saw("chunks of 500 went down to 31; the same figures")


@pytest.mark.fault("no memory for even one image: one line, not an endless search")
def test_memory_that_holds_nothing(saw):
    def never(_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    with pytest.raises(UserError, match="out of memory, even for one image at a time"):
        by_chunks(never, torch.zeros(9, 1), 4)
    saw("one line")


@pytest.mark.fault("out of memory while a PixelCNN samples: smaller chunks, and the same grids")
def test_memory_that_holds_a_few_grids(monkeypatch, saw, caplog):
    arguments = {"channels": 8, "layers": 2, "kernel": 3, "conditional": True, "dropout": 0.0, "learning_rate": 1e-3}
    arguments |= {"weight_decay": 0.0, "batch_size": 8, "max_steps": 2, "val_every_steps": 1, "patience": 1}
    prior = PixelCNN(CodeSpec(16, 4, 4), **arguments)
    whole = prior.sample(100, torch.Generator().manual_seed(0))
    sampler = pixelcnn.sample_codes

    def limited(network, uniforms, *rest):
        if len(uniforms) > 30:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return sampler(network, uniforms, *rest)

    monkeypatch.setattr(pixelcnn, "sample_codes", limited)
    assert prior.sample(100, torch.Generator().manual_seed(0)).equal(whole)
    assert "going on with 25 at a time" in caplog.text
    saw("chunks of 100 went down to 25; the same grids")


def test_chunks_join_to_the_whole_and_other_errors_stay():
    x = torch.arange(10.0)[:, None]
    assert by_chunks(lambda part: part + 1, x, 3).equal(x + 1)
    assert by_chunks(lambda part: part + 1, x[:0], 3).shape == (0, 1)
    with pytest.raises(RuntimeError, match="a bug"):
        by_chunks(lambda _: (_ for _ in ()).throw(RuntimeError("a bug")), x, 3)


class Clock(datetime):
    """Stands still."""

    at = datetime(2026, 3, 29, 2, 30)

    @classmethod
    def now(cls, tz=None):
        return cls.at.astimezone(tz) if tz else cls.at


@pytest.mark.fault("a clock that jumps back: no folder is written twice, and latest is the run that was made last")
def test_a_clock_that_jumps_back_between_runs(command, monkeypatch, saw, tmp_path):
    monkeypatch.setattr("aevq.training.job.datetime", Clock)
    paths = []
    for hour in (3, 2, 2):
        Clock.at = datetime(2026, 3, 29, hour, 30)
        assert command(main, *VAE)[0] == 0
        paths.append(aevq.load("latest").path)
    assert len(set(paths)) == 3
    assert paths[2].name == f"{paths[1].name}-2"
    assert (tmp_path / "runs" / "latest").resolve() == paths[2]
    saw(f"three folders; latest is {paths[2].name[:19]}…-2")


@pytest.mark.fault("a clock that jumps back between sweeps: latest is the sweep that was started last")
def test_a_clock_that_jumps_back_between_sweeps(tmp_path, monkeypatch, saw):
    monkeypatch.setattr("aevq.sweeps.launch.run_jobs", lambda sweep, *_: sweep.save())
    for name in ("2026-03-29_03-30-00", "2026-03-29_02-30-00"):
        folder = tmp_path / "runs" / "sweep" / name
        launch_sweep(folder, [["seed=1"]], first_index=0, flags=[], trainer={}, n_jobs=1, threads=1)
    assert find_sweep("latest", tmp_path / "runs") == folder.resolve()
    assert find_folder("latest", tmp_path / "runs") == folder.resolve()
    saw("the second, whose name is the older")


@pytest.mark.fault("a terminal without UTF-8: every line is written, signs written out; nothing crashes")
def test_a_terminal_of_plain_ascii(tmp_path, saw):
    ended = dying.train(tmp_path, *VAE, encoding="ascii")
    assert ended.code == 0, ended.err
    assert "reconstruction/mse" in ended.out
    assert read_result(the_run(tmp_path) / "result.json").status == "finished"
    refused = dying.train(tmp_path, "model.latent_dim=0", encoding="ascii")
    assert refused.err.strip() == "error: model.latent_dim: expected an integer >= 1, got 0"
    saw("a whole run and an error line in ASCII: 'an integer >= 1'")


@pytest.mark.slow
@pytest.mark.fault("no home folder, and a terminal without UTF-8: a whole run goes through, W&B offline included")
@pytest.mark.parametrize("home", ["/dev/null/nowhere", None])
def test_no_home_folder(home, tmp_path, saw):
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CONFIG_HOME")}
    environment |= {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "WANDB_MODE": "offline"}
    environment |= {"HOME": home} if home else {}
    command = [sys.executable, "-m", "aevq.train", *VAE, "logger=wandb"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert read_result(the_run(tmp_path) / "result.json").status == "finished"
    assert b"Traceback" not in done.stderr
    saw(f"HOME={home}: finished")
