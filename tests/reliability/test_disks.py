"""A disk that is full or read-only while a run saves, and a machine that cannot be written to at all."""

from __future__ import annotations

import subprocess

import pytest

from aevq.runs.result import read_result
from aevq.runs.run import read_checkpoint
from helpers import dying
from helpers.broken_runs import VAE, the_run
from helpers.dying import Trouble


def one_line(err: str) -> str:
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def check_goes_on(folder, run, figures) -> None:
    for checkpoint in run.rglob("*.ckpt"):
        assert read_checkpoint(checkpoint)["state_dict"]
    assert read_result(run / "result.json").status in ("failed", "running")
    resumed = dying.train(folder, f"resume={run}")
    assert resumed.code == 0, resumed.err
    result = read_result(run / "result.json")
    assert result.status == "finished"
    assert result.metrics == figures


@pytest.mark.fault("a full disk while saving: one line with file and reason, no half file, resumed to the same figures")
@pytest.mark.parametrize("kilobytes", [600, 1000, 1400])
def test_a_full_disk(kilobytes, small_disk, figures, saw):
    disk = small_disk(kilobytes)
    ended = dying.train(disk, *VAE)
    assert ended.code == 1, ended.err
    line = one_line(ended.err)
    assert "No space left on device" in line
    run = the_run(disk)
    assert str(run) in line
    status = read_result(run / "result.json").status
    subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
    check_goes_on(disk, run, figures)
    saw(f"{line[:46]}…; {status}; the same figures after there was room")


@pytest.mark.fault("a folder that becomes read-only while saving: one line, the last checkpoint kept, resumed")
def test_a_read_only_folder(small_disk, figures, saw):
    disk = small_disk(40_000)
    make = f'for f in {disk}/runs/*_s0/checkpoints; do mount --bind "$f" "$f" && mount -o remount,bind,ro "$f"; done'
    ended = dying.train(disk, *VAE, trouble=Trouble(make, "step", "3"))
    assert ended.code == 1, ended.err
    line = one_line(ended.err)
    assert "Read-only file system" in line
    run = the_run(disk)
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == 2
    assert read_result(run / "result.json").status == "failed"
    subprocess.run(["umount", str(run / "checkpoints")], check=True)
    check_goes_on(disk, run, figures)
    saw("one line; failed; last.ckpt of step 2 kept; the same figures once it was writable")


@pytest.mark.fault("a folder for runs that is read-only from the start: one line, before any training")
def test_runs_cannot_be_made(small_disk, saw):
    disk = small_disk(400)
    (disk / "ro").mkdir()
    subprocess.run(["mount", "--bind", str(disk / "ro"), str(disk / "ro")], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(disk / "ro")], check=True)
    ended = dying.train(disk, *VAE, f"paths.runs={disk}/ro/runs")
    assert ended.code == 1
    line = one_line(ended.err)
    assert line.startswith("error: paths.runs: cannot create ")
    assert "step" not in ended.out
    saw(line[:60])
