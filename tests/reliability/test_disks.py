"""A disk that is full or read-only while a run saves, or from the start."""

import subprocess

import pytest

from aevq.files import load_plain
from aevq.runs.result import read_result
from helpers import killed_processes
from helpers.killed_processes import Trouble
from helpers.small_runs import SMALL_VAE, only_run


def error_line(err: str) -> str:
    """Return the one line that reports the error."""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def check_resume(folder, run, metrics) -> None:
    for checkpoint in run.rglob("*.ckpt"):
        assert load_plain(checkpoint)["state_dict"]
    assert read_result(run / "result.json").status in ("failed", "running")
    resumed = killed_processes.train(folder, f"resume={run}")
    assert resumed.code == 0, resumed.err
    result = read_result(run / "result.json")
    assert result.status == "finished"
    assert result.metrics == metrics


@pytest.mark.fault("a full disk while saving: one line with file and reason, no half file, resumed to the same metrics")
@pytest.mark.parametrize("kilobytes", [600, 1000, 1400])
def test_a_full_disk(kilobytes, small_disk, metrics, observed):
    disk = small_disk(kilobytes)
    ended = killed_processes.train(disk, *SMALL_VAE)
    assert ended.code == 1, ended.err
    line = error_line(ended.err)
    assert "No space left on device" in line
    run = only_run(disk)
    assert str(run) in line
    status = read_result(run / "result.json").status
    subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
    check_resume(disk, run, metrics)
    observed(f"{line[:46]}…; {status}; the same metrics after there was room")


@pytest.mark.fault("a folder that becomes read-only while saving: one line, the last checkpoint kept, resumed")
def test_a_read_only_folder(small_disk, metrics, observed):
    disk = small_disk(40_000)
    make = f'for f in {disk}/runs/*_s0/checkpoints; do mount --bind "$f" "$f" && mount -o remount,bind,ro "$f"; done'
    ended = killed_processes.train(disk, *SMALL_VAE, trouble=Trouble(make, "step", "3"))
    assert ended.code == 1, ended.err
    line = error_line(ended.err)
    assert "Read-only file system" in line
    run = only_run(disk)
    assert load_plain(run / "checkpoints" / "last.ckpt")["global_step"] == 2
    assert read_result(run / "result.json").status == "failed"
    subprocess.run(["umount", str(run / "checkpoints")], check=True)
    check_resume(disk, run, metrics)
    observed("one line; failed; last.ckpt of step 2 kept; the same metrics once it was writable")


@pytest.mark.fault("a folder for runs that is read-only from the start: one line, before any training")
def test_a_folder_in_which_no_run_can_be_created(small_disk, observed):
    disk = small_disk(400)
    (disk / "ro").mkdir()
    subprocess.run(["mount", "--bind", str(disk / "ro"), str(disk / "ro")], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(disk / "ro")], check=True)
    ended = killed_processes.train(disk, *SMALL_VAE, f"paths.runs={disk}/ro/runs")
    assert ended.code == 1
    line = error_line(ended.err)
    assert line.startswith("error: paths.runs: cannot create ")
    assert "step" not in ended.out
    observed(line[:60])
