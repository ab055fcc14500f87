"""What only processes of their own can show: DDP by Lightning's own launcher, and the contents of the wheel."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from aevq.errors import PREEMPTED
from aevq.runs.run import Run
from helpers.same_runs import assert_same
from helpers.small_runs import SMALL_VQVAE, only_run

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_processes_make_one_run(tmp_path):
    command = [sys.executable, "-m", "aevq.train", "trainer=ddp_sim", *SMALL_VQVAE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    run = Run(only_run(tmp_path))
    assert (tmp_path / "runs" / "latest").resolve() == run.path
    assert run.finished
    assert run.result.train["steps"] == 4
    assert (run.images / "samples_pixelcnn.png").is_file()
    assert done.stderr.count("fitting the prior pixelcnn") == 1
    assert "Warning" not in done.stderr


LONGER = ["trainer=ddp_sim", *SMALL_VQVAE, "trainer.max_steps=300"]
LONGER += ["trainer.val_check_interval=100", "trainer.log_every_n_steps=5"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-m", "aevq.train", *LONGER]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=280, check=True)
    return Run((folder / "runs" / "latest").resolve())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_either_process_stops_both_and_the_run_resumes_exactly(signalled, whole, tmp_path):
    process = subprocess.Popen([sys.executable, "-m", "aevq.train", *LONGER], cwd=tmp_path, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 200
    while not any(rows_of(path) > 20 for path in tmp_path.glob("runs/*/metrics.csv")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill([process.pid, int(children[0])][signalled], signal.SIGTERM)
    _, err = process.communicate(timeout=200)
    assert process.returncode == PREEMPTED, err.decode()
    run = Run((tmp_path / "runs" / "latest").resolve())
    assert (run.result.status, run.result.error) == ("interrupted", "stopped by SIGTERM")
    assert not Path(f"/proc/{children[0]}").exists() or "Z" in Path(f"/proc/{children[0]}/stat").read_text().split()[2]
    command = [sys.executable, "-m", "aevq.train", "resume=latest"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=280, check=True)
    assert_same(run, whole)


def rows_of(path: Path) -> int:
    return path.read_text().count("\n")


@pytest.mark.slow
def test_the_wheel_carries_the_configuration(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    yamls = {f"aevq/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert yamls <= set(names)
