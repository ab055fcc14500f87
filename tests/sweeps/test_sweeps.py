"""A sweep as a user starts it: a crashed job does not affect the others, and what is left can be resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aevq.errors import UserError
from aevq.runs.folder import claimed, find_sweep, read_config
from aevq.runs.result import read_result
from aevq.runs.sweep_record import Sweep, SweepJob, read_sweep
from aevq.sweeps import resume_sweep
from helpers import killed_processes
from helpers.commands import run_command
from helpers.small_runs import QUICK, SMALL

TESTS = Path(__file__).parents[1] / "helpers"
SWEEP = ["-m", *QUICK, *SMALL["vae"]]


ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "WANDB_MODE": "offline"}


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command("train", folder, *arguments, **ENVIRONMENT)


def the_sweep(folder: Path):
    return read_sweep(find_sweep("latest", folder / "runs"))


def metrics(sweep) -> dict[int, dict[str, float]]:
    return {job.index: read_result(sweep.path / job.folder / "result.json").metrics for job in sweep.jobs}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nine_jobs_of_which_one_raises_one_is_killed_and_one_exits(tmp_path):
    bad = {2: "raise", 5: "kill", 7: "exit"}  # by seed
    callback = [
        "+callbacks.bad._target_=misbehaving_callback.MisbehavingCallback",
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
    assert errors[7].startswith("ended with exit code 1; last output:")
    assert "goodbye" in errors[7]
    for job in sweep.jobs:
        assert read_result(sweep.path / job.folder / "result.json").status == job.status
    report = (sweep.path / "report" / "index.html").read_text()
    assert "killed by SIGKILL" in report
    before = metrics(sweep)

    refused = train(tmp_path, "-m", "resume_sweep=latest")
    assert refused.returncode == 1
    assert "misbehaving_callback.MisbehavingCallback" in (the_sweep(tmp_path).path / "logs" / "4.log").read_text()
    again = train(tmp_path, "-m", "resume_sweep=latest", "trust=[misbehaving_callback.]")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count(" started: ") == 3
    sweep = the_sweep(tmp_path)
    assert {job.status for job in sweep.jobs} == {"finished"}
    after = metrics(sweep)
    assert all(after[index] == before[index] for index in after if index + 1 not in errors)
    assert read_result(sweep.path / sweep.jobs[4].folder / "result.json").resumed >= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_whose_launcher_is_killed_resumes_to_the_same_metrics(tmp_path):
    arguments = [*SWEEP, "model=vae", "model.beta=1,2,3", "trainer.max_steps=40", "trainer.val_check_interval=10"]
    (tmp_path / "whole").mkdir()
    assert train(tmp_path / "whole", *arguments).returncode == 0
    (tmp_path / "cut").mkdir()
    launcher = subprocess.Popen(
        [sys.executable, "-m", "aevq.train", *arguments, "hydra.launcher.n_jobs=1"],
        cwd=tmp_path / "cut",
        env=os.environ | ENVIRONMENT,
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
    assert metrics(sweep) == metrics(the_sweep(tmp_path / "whole"))
    assert sweep.jobs[0].seconds > 0


OTHER_FILES = {
    "mypackage/__init__.py": "",
    "mypackage/conf/__init__.py": "",
    "mypackage/conf/model/tiny.yaml": "defaults:\n  - ae\n  - _self_\n\nlatent_dim: 3\n",
    "mine/experiment/mine.yaml": "# @package _global_\nnotes: mine\n",
}


def test_each_job_finds_yaml_files_in_other_places(tmp_path):
    """`hydra.searchpath` and `--config-dir` reach the jobs, and have to be given again to resume them."""
    for name, text in OTHER_FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    given = ["--config-dir", str(tmp_path / "mine"), "hydra.searchpath=[pkg://mypackage.conf]"]
    small = [*QUICK, *SMALL["ae"][:1], "prior=none", "trainer.max_steps=1", "trainer.val_check_interval=1"]
    done = train(tmp_path, "-m", *given, "model=tiny", "experiment=mine", *small)
    assert done.returncode == 0, done.stderr
    sweep = the_sweep(tmp_path)
    config = read_config(sweep.path / sweep.jobs[0].folder / "config.yaml")
    assert (config["model"]["latent_dim"], config["notes"]) == (3, "mine")

    sweep.jobs[0].status = "failed"
    sweep.save()
    refused = killed_processes.train(tmp_path, "-m", "resume_sweep=latest")
    assert refused.code == 1
    assert refused.err.strip().endswith(f"to use the same, add: {' '.join(given)}")
    again = train(tmp_path, "-m", "resume_sweep=latest", *given)
    assert again.returncode == 0, again.stderr
    assert the_sweep(tmp_path).status == "finished"


def test_trust_that_is_no_list_is_refused():
    with pytest.raises(UserError, match="trust: should be a valid list, got 3"):
        resume_sweep(["resume_sweep=latest", "trust=3"])


def test_a_sweep_that_another_process_runs_is_not_resumed(tmp_path):
    Sweep("", "", [], [SweepJob(0, ["seed=0"], "running")], path=tmp_path).save()
    with claimed(tmp_path, "sweep"), pytest.raises(UserError, match="another process is writing into"):
        resume_sweep([f"resume_sweep={tmp_path}"])
    assert read_sweep(tmp_path).jobs[0].status == "running"
