"""SIGKILL at random moments of either stage: what goes on from the last checkpoint ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import aevq
from aevq.runs.status import STATUS_FILE, read_status
from aevq.train import main as train_main
from helpers.same_runs import assert_same
from helpers.small_runs import QUICK, SMALL

ARGUMENTS = [
    "model=vqvae",
    *QUICK,
    *SMALL["vqvae"],
    "trainer.max_steps=200",
    "trainer.val_check_interval=30",
    "trainer.log_every_n_steps=7",
    "prior.pixelcnn.max_steps=100",
    "prior.pixelcnn.val_every_steps=15",
    "prior.pixelcnn.dropout=0.1",
]
STAGES = ("train", "priors")


def killed_run(folder: Path, stage: str, delay: float) -> str:
    """Start a run, kill it so many seconds after that stage began; its name."""
    status = folder / "status.json"
    status.unlink(missing_ok=True)
    environment = os.environ | {STATUS_FILE: str(status), "OMP_NUM_THREADS": "1"}
    with (folder / "killed.log").open("wb") as log:
        command = [sys.executable, "-m", "aevq.train", *ARGUMENTS]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        while STAGES.index(stage) > (
            STAGES.index(said) if (said := read_status(status).get("stage")) in STAGES else -1
        ):
            assert process.poll() is None, (folder / "killed.log").read_text()
            time.sleep(0.002)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return Path(read_status(status)["folder"]).name


def check_kills(kills: list[tuple[str, float]], command, folder: Path) -> None:
    """Kill a run in each of these ways, the moment given as a share of the stage, and let it go on."""
    code, _, err = command(train_main, *ARGUMENTS)
    assert code == 0, err
    whole = aevq.load("latest")
    for stage, share in kills:
        name = killed_run(folder, stage, share * whole.result.seconds[stage])
        assert aevq.load(name).result.status == "running"
        code, _, err = command(train_main, f"resume={name}")
        assert code == 0, err
        run = aevq.load(name)
        assert run.result.resumed == 1
        assert_same(run, whole)
        assert not list(run.path.rglob(".*.ckpt.*"))


def test_killed_once(command, tmp_path):
    check_kills([("train", 0.6)], command, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_at_random_moments(command, tmp_path):
    drawn = random.Random(0)
    check_kills([(STAGES[number % 2], drawn.random()) for number in range(20)], command, tmp_path)
