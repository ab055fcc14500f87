"""Finished runs, and small disks."""

import subprocess

import pytest

from aevq.runs.result import read_result
from helpers import killed_processes
from helpers.small_runs import SMALL_VAE, only_run


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Folder of a run that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    ended = killed_processes.train(folder, *SMALL_VAE)
    assert ended.code == 0, ended.err
    return only_run(folder)


@pytest.fixture(scope="session")
def metrics(whole):
    """Its metrics, which every interrupted and resumed run has to reach."""
    return read_result(whole / "result.json").metrics


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of so many kilobytes and returns its folder."""
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
