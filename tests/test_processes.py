"""What only a process of its own can show: DDP, and the installed wheel."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from small_runs import QUICK, SMALL

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_two_processes_make_one_run(tmp_path):
    command = [sys.executable, "-m", "aevq.train", "model=vqvae", "trainer=ddp_sim", *QUICK, *SMALL["vqvae"]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir() if not path.is_symlink()] == [
        (tmp_path / "runs" / "latest").resolve().name
    ]
    result = json.loads((tmp_path / "runs" / "latest" / "result.json").read_text())
    assert result["status"] == "finished"
    assert result["train"]["steps"] == 4
    assert (tmp_path / "runs" / "latest" / "images" / "samples_pixelcnn.png").is_file()
    assert done.stderr.count("fitting the prior pixelcnn") == 1
    assert "Warning" not in done.stderr


@pytest.mark.slow
def test_the_wheel_carries_the_configuration(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    yamls = {f"aevq/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert yamls <= set(names)
