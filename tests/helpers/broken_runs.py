"""Finished runs, and small disks."""

from __future__ import annotations

import subprocess

import pytest

from aevq.runs.result import read_result
from helpers import dying
from helpers.small_runs import QUICK, SMALL

VAE = ["model=vae", *QUICK, *SMALL["vae"]]


def the_run(folder):
    (path,) = [path for path in (folder / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
    return path


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A run that nothing happened to: its folder."""
    folder = tmp_path_factory.mktemp("whole")
    ended = dying.train(folder, *VAE)
    assert ended.code == 0, ended.err
    return the_run(folder)


@pytest.fixture(scope="session")
def figures(whole):
    """Its figures, which every run that was cut and resumed has to reach."""
    return read_result(whole / "result.json").metrics


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of so many kilobytes, and gives its folder."""
    mounted = []

    def mount(kilobytes: int):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("file systems cannot be mounted here: that takes root")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-R", str(folder)], check=False, capture_output=True)
