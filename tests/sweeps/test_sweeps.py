"""A sweep as a user starts it: what one job does costs no other, and what is left can be run later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aevq.errors import UserError
from aevq.runs.result import read_result
from aevq.sweeps import find_sweep, read_sweep
from helpers.small_runs import QUICK, SMALL

TESTS = Path(__file__).parents[1] / "helpers"
SWEEP = ["-m", *QUICK, *SMALL["vae"]]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aevq.train", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=280, check=False
    )


def the_sweep(folder: Path):
    return read_sweep(find_sweep("latest", folder / "runs"))


def figures(sweep) -> dict[int, dict[str, float]]:
    return {job.index: read_result(sweep.path / job.folder / "result.json").metrics for job in sweep.jobs}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nine_jobs_of_which_one_raises_one_is_killed_and_one_exits(tmp_path):
    bad = {2: "raise", 5: "kill", 7: "exit"}  # by seed
    callback = [
        "+callbacks.bad._target_=misbehave.Misbehave",
        f"+callbacks.bad.how={{{','.join(f'{seed}:{how}' for seed, how in bad.items())}}}",
        "+callbacks.bad.seed=${seed}",
        f"+callbacks.bad.folder={tmp_path}",
    ]
    done = train(tmp_path, "-m", "seed=range(1,10)", *callback, *SWEEP[1:])
    assert done.returncode == 1, done.stderr
    sweep = the_sweep(tmp_path)
    assert [job.status for job in sweep.jobs].count("finished") == 6
    errors = {job.index + 1: job.error for job in sweep.jobs if job.status == "failed"}
    assert set(errors) == set(bad)
    assert errors[2] == "RuntimeError: no good"
    assert errors[5].startswith("killed by SIGKILL")
    assert errors[7].startswith("ended with exit code 1; last said:")
    assert "goodbye" in errors[7]
    for job in sweep.jobs:
        assert read_result(sweep.path / job.folder / "result.json").status == job.status
    report = (sweep.path / "report" / "index.html").read_text()
    assert "killed by SIGKILL" in report
    before = figures(sweep)

    refused = train(tmp_path, "-m", "resume_sweep=latest")
    assert refused.returncode == 1
    assert "misbehave.Misbehave" in (the_sweep(tmp_path).path / "logs" / "4.log").read_text()
    again = train(tmp_path, "-m", "resume_sweep=latest", "trust=[misbehave.]")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count(" started: ") == 3
    sweep = the_sweep(tmp_path)
    assert {job.status for job in sweep.jobs} == {"finished"}
    after = figures(sweep)
    assert all(after[index] == before[index] for index in after if index + 1 not in errors)
    assert read_result(sweep.path / sweep.jobs[4].folder / "result.json").resumed >= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_whose_launcher_is_killed_goes_on_to_the_same_figures(tmp_path):
    arguments = [*SWEEP, "model=vae", "model.beta=1,2,3", "trainer.max_steps=40", "trainer.val_check_interval=10"]
    (tmp_path / "whole").mkdir()
    assert train(tmp_path / "whole", *arguments).returncode == 0
    (tmp_path / "cut").mkdir()
    launcher = subprocess.Popen(
        [sys.executable, "-m", "aevq.train", *arguments, "hydra.launcher.n_jobs=1"],
        cwd=tmp_path / "cut",
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("cut/runs/sweep/*/1_*/checkpoints/last.ckpt")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    assert json.loads(next(tmp_path.glob("cut/runs/sweep/*/sweep.json")).read_text())["status"] == "running"
    done = train(tmp_path / "cut", "-m", "resume_sweep=latest")
    assert done.returncode == 0, done.stderr
    sweep = the_sweep(tmp_path / "cut")
    assert {job.status for job in sweep.jobs} == {"finished"}
    assert figures(sweep) == figures(the_sweep(tmp_path / "whole"))
    assert sweep.jobs[0].seconds > 0


def test_a_sweep_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="there is no sweep in"):
        find_sweep("latest", tmp_path)
