"""SIGKILL at every stage of a run, also in the middle of a save: only the steps since the last save are lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import aevq
from aevq.files import load_plain
from aevq.runs.result import read_result
from aevq.runs.run import Run
from aevq.runs.status import STATUS_FILE, read_status
from helpers import killed_processes
from helpers.killed_processes import Trouble
from helpers.same_runs import assert_same
from helpers.small_runs import SMALL_VAE, SMALL_VQVAE, only_run

STAGES = {
    "before its first result has its name": Trouble("kill", "replace", "result.json"),
    "with half of its configuration written": Trouble("kill", "half", "config.yaml"),
    "before the first step": Trouble("kill", "step", "1"),
    "between two checkpoints": Trouble("kill", "step", "4"),
    "with half of the first checkpoint written": Trouble("kill", "half", "last.ckpt", 1),
    "with half of the second checkpoint written": Trouble("kill", "half", "last.ckpt", 2),
    "with the second checkpoint not yet on the disk": Trouble("kill", "fsync", "last.ckpt", 2),
    "before the second checkpoint has its name": Trouble("kill", "replace", "last.ckpt", 2),
    "after the second checkpoint has its name": Trouble("kill", "replaced", "last.ckpt", 2),
    "with half of the best checkpoint written": Trouble("kill", "half", "best.ckpt", 1),
    "before the priors": Trouble("kill", "stage", "priors"),
    "with half of a prior written": Trouble("kill", "half", "standard_normal.safetensors"),
    "before the evaluation": Trouble("kill", "stage", "evaluation"),
    "before the plots": Trouble("kill", "stage", "plots"),
    "before its last result has its name": Trouble("kill", "replace", "result.json", 6),
}
QUICK_ONES = ("between two checkpoints", "with half of the second checkpoint written", "before the evaluation")


@pytest.mark.fault("SIGKILL: no half file, no result; resumed, the run reaches the metrics of an uninterrupted one")
@pytest.mark.parametrize(
    "stage", [pytest.param(name, marks=() if name in QUICK_ONES else pytest.mark.slow) for name in STAGES]
)
def test_a_run_that_is_killed(stage, tmp_path, metrics, observed):
    ended = killed_processes.train(tmp_path, *SMALL_VAE, trouble=STAGES[stage])
    assert ended.code == -signal.SIGKILL, ended.err
    run = only_run(tmp_path)
    for checkpoint in run.rglob("*.ckpt"):
        assert load_plain(checkpoint)["state_dict"]
    if not (run / "result.json").exists() or not (run / "config.yaml").exists():
        check_nothing_to_resume(tmp_path, run)
        observed("nothing was there yet: one clear line, and a new run finishes")
        return
    assert read_result(run / "result.json").status == "running"
    resumed = killed_processes.train(tmp_path, f"resume={run}")
    assert resumed.code == 0, resumed.err
    result = read_result(run / "result.json")
    assert (result.status, result.resumed) == ("finished", 1)
    assert result.metrics == metrics
    assert not list(run.rglob(".*.ckpt.*"))
    observed("resumed to the same metrics")


def check_nothing_to_resume(folder, run):
    resumed = killed_processes.train(folder, f"resume={run}")
    assert resumed.code == 1
    (line,) = resumed.err.strip().splitlines()
    assert line.startswith("error: ")
    assert killed_processes.train(folder, *SMALL_VAE).code == 0


@pytest.mark.slow
@pytest.mark.fault("SIGKILL while the PixelCNN trains: the model is kept, the prior resumes from its own checkpoint")
def test_a_run_that_is_killed_while_its_prior_trains(tmp_path, observed):
    runs = []
    for name, trouble in (("whole", None), ("killed", Trouble("kill", "half", "last.ckpt", 5))):
        folder = tmp_path / name
        folder.mkdir()
        ended = killed_processes.train(folder, *SMALL_VQVAE, "prior.pixelcnn.max_steps=6", trouble=trouble)
        assert ended.code == (0 if trouble is None else -signal.SIGKILL), ended.err
        if trouble:
            run = only_run(folder)
            assert (run / "priors" / "pixelcnn" / "last.ckpt").is_file()
            assert killed_processes.train(folder, f"resume={run}").code == 0
        runs.append(Run(only_run(folder)))
    assert_same(*runs)
    observed("killed in the prior's second save; the same metrics")


@pytest.mark.fault("two processes that write one run folder: the second is refused and writes nothing")
def test_a_run_that_another_process_is_writing(whole, tmp_path, observed):
    run = shutil.copytree(whole, tmp_path / "runs" / whole.name)
    before = (run / "result.json").read_bytes()
    ready = killed_processes.FORKS.Event()
    first = killed_processes.FORKS.Process(target=killed_processes.claim_for_ever, args=(str(run), ready))
    first.start()
    assert ready.wait(60)
    second = killed_processes.train(tmp_path, f"resume={run}", "trainer.max_steps=6")
    assert second.code == 1
    assert second.err.strip().splitlines()[-1] == f"error: run: another process is writing into {run}"
    assert (run / "result.json").read_bytes() == before
    first.kill()
    first.join()
    assert killed_processes.train(tmp_path, f"resume={run}", "trainer.max_steps=6").code == 0
    observed("refused with one line; allowed once the first was killed")


# At random moments of either stage

LONGER = [
    *SMALL_VQVAE,
    "trainer.max_steps=200",
    "trainer.val_check_interval=30",
    "trainer.log_every_n_steps=7",
    "prior.pixelcnn.max_steps=100",
    "prior.pixelcnn.val_every_steps=15",
    "prior.pixelcnn.dropout=0.1",
]


def killed_run(folder: Path, stage: str, delay: float) -> str:
    """Start a run, kill it `delay` seconds after a stage began, and return its name."""
    status, stages = folder / "status.json", ("train", "priors", "evaluation", "plots")
    status.unlink(missing_ok=True)
    environment = os.environ | {STATUS_FILE: str(status)}
    with (folder / "killed.log").open("wb") as log:
        command = [sys.executable, "-m", "aevq.train", *LONGER]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        while read_status(status).get("stage") not in stages[stages.index(stage) :]:
            assert process.poll() is None, (folder / "killed.log").read_text()
            time.sleep(0.002)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return Path(read_status(status)["folder"]).name


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_at_random_moments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole, draw = aevq.fit(*LONGER), random.Random(0)
    for number in range(20):
        stage = ("train", "priors")[number % 2]
        name = killed_run(tmp_path, stage, draw.random() * whole.result.seconds[stage])
        assert aevq.load(name).result.status == "running"
        run = aevq.fit(f"resume={name}")
        assert run.result.resumed == 1
        assert_same(run, whole)
        assert not list(run.path.rglob(".*.ckpt.*"))
