"""The surroundings of a run: memory, clock, terminal, home folder."""

import os
import subprocess
import sys
from datetime import datetime
from functools import partial
from types import SimpleNamespace

import pytest
import torch

import aevq
from aevq.errors import UserError
from aevq.latents import CodeSpec
from aevq.models import VAE
from aevq.nn.feature_net import FeatureNet
from aevq.nn.memory import by_chunks
from aevq.priors import PixelCNN, pixelcnn
from aevq.runs.folder import find_folder, find_run, find_sweep
from aevq.runs.result import read_result, write_result
from aevq.sweeps import launch_sweep
from aevq.train import main
from aevq.training.recording import open_run
from helpers import killed_processes
from helpers.run_folders import make_result, parts_of_a_run
from helpers.small_runs import SMALL_VAE, only_run

SAMPLED = ["evaluation.samples=100", "data.eval_batch_size=50"]


def short_of_memory(function, rows):
    """Return the function on a device whose memory holds so many rows."""

    def limited(self, x, *args):
        if len(x) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return function(self, x, *args)

    return limited


@pytest.mark.fault("out of memory in evaluation: smaller chunks, and the same metrics")
def test_memory_that_holds_a_tenth_of_a_chunk(command, monkeypatch, observed):
    assert command(main, *SMALL_VAE, *SAMPLED)[0] == 0
    whole = aevq.load("latest").result.metrics
    for cls, name, rows in ((VAE, "encode", 60), (VAE, "decode", 50), (FeatureNet, "features", 20)):
        monkeypatch.setattr(cls, name, short_of_memory(getattr(cls, name), rows))
    code, _, err = command(main, *SMALL_VAE, *SAMPLED)
    assert code == 0, err
    assert "out of memory" in err
    assert "62 at a time" in err
    metrics = aevq.load("latest").result.metrics
    assert metrics.keys() == whole.keys()
    assert metrics == pytest.approx(whole, rel=1e-4)
    observed("chunks of 500 became chunks of 31; the same metrics")


@pytest.mark.fault("no memory for even one image: one line, not an endless search")
def test_memory_that_holds_nothing(observed):
    def never(_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    with pytest.raises(UserError, match="out of memory, even for one image at a time"):
        by_chunks(never, torch.zeros(9, 1), 4)
    observed("one line")


@pytest.mark.fault("out of memory while a PixelCNN samples: smaller chunks, and the same grids")
def test_memory_that_holds_a_few_grids(monkeypatch, observed, caplog):
    prior = PixelCNN(CodeSpec(16, 4, 4), channels=8, layers=2, conditional=True)
    whole = prior.sample(100, torch.Generator().manual_seed(0))
    sampler = pixelcnn.sample_codes

    def limited(network, draw, *rest):
        if draw.rows > 30:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return sampler(network, draw, *rest)

    monkeypatch.setattr(pixelcnn, "sample_codes", limited)
    assert prior.sample(100, torch.Generator().manual_seed(0)).equal(whole)
    assert "25 at a time" in caplog.text
    observed("chunks of 100 became chunks of 25; the same grids")


def test_chunks_join_to_the_whole_and_other_errors_stay():
    x = torch.arange(10.0)[:, None]
    assert by_chunks(lambda part: part + 1, x, 3).equal(x + 1)
    assert by_chunks(lambda part: part + 1, x[:0], 3).shape == (0, 1)
    with pytest.raises(RuntimeError, match="a bug"):
        by_chunks(lambda _: (_ for _ in ()).throw(RuntimeError("a bug")), x, 3)


@pytest.mark.fault("a clock that jumps back: no folder is written twice, and latest is the run that was started last")
def test_a_clock_that_jumps_back_between_runs(observed, tmp_path, monkeypatch):
    paths, parts = [], parts_of_a_run(tmp_path)
    for hour in (3, 2, 2):
        monkeypatch.setattr(
            "aevq.training.recording.datetime", SimpleNamespace(now=partial(datetime, 2026, 3, 29, hour))
        )
        paths.append(open_run(parts).path)
        write_result(make_result(), paths[-1] / "result.json")
    assert len(set(paths)) == 3
    assert paths[2].name == f"{paths[1].name}-2"
    assert find_run("latest", tmp_path) == paths[2]
    observed(f"three folders; latest is {paths[2].name[:19]}…-2")


@pytest.mark.fault("a clock that jumps back between sweeps: latest is the sweep that was started last")
def test_a_clock_that_jumps_back_between_sweeps(tmp_path, monkeypatch, observed):
    monkeypatch.setattr("aevq.sweeps.launch.run_jobs", lambda sweep, *_: sweep.save())
    for name in ("2026-03-29_03-30-00", "2026-03-29_02-30-00"):
        folder = tmp_path / "runs" / "sweep" / name
        launch_sweep(folder, [["seed=1"]], first_index=0, flags=[], trainer={}, n_jobs=1, threads=1)
    assert find_sweep("latest", tmp_path / "runs") == folder.resolve()
    assert find_folder("latest", tmp_path / "runs") == folder.resolve()
    observed("the second, whose name is the older")


@pytest.mark.fault("a terminal without UTF-8: every line is written, other characters as escapes")
def test_a_terminal_of_plain_ascii(tmp_path, observed):
    ended = killed_processes.train(tmp_path, *SMALL_VAE, encoding="ascii")
    assert ended.code == 0, ended.err
    assert "reconstruction/mse" in ended.out
    assert read_result(only_run(tmp_path) / "result.json").status == "finished"
    refused = killed_processes.train(tmp_path, "model.latent_dim='ü'", encoding="ascii")
    assert refused.err.startswith("error: model.latent_dim: should be a valid integer, got '\\xfc'")
    observed(f"a whole run and an error line in ASCII: {refused.err.strip()}")


@pytest.mark.slow
@pytest.mark.fault("no home folder, and a terminal without UTF-8: a whole run goes through, W&B offline included")
@pytest.mark.parametrize("home", ["/dev/null/nowhere", None])
def test_no_home_folder(home, tmp_path, observed):
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CONFIG_HOME")}
    environment |= {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "WANDB_MODE": "offline"}
    environment |= {"HOME": home} if home else {}
    command = [sys.executable, "-m", "aevq.train", *SMALL_VAE, "logger=wandb"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert read_result(only_run(tmp_path) / "result.json").status == "finished"
    assert b"Traceback" not in done.stderr
    observed(f"HOME={home}: finished")
