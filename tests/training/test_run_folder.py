"""Which folder a run gets: typed by hand, in a sweep of ours, in a sweep of another launcher, under a scheduler."""

import re

import pytest

from aevq.errors import UserError
from aevq.runs.status import JOB_INDEX, JOB_SUFFIX, SWEEP_FOLDER
from aevq.training.recording import SweepJobPlace, open_run
from helpers.run_folders import parts_of_a_run


@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize(
    ("launcher", "folder"),
    [
        ("none", r"runs/2\d\d\d-\d\d-\d\d_\d\d-\d\d-\d\d_vae_mnist_s0"),
        ("another", "sweep/3_vae_mnist_s0"),
        ("ours", "sweep/7_vae_mnist_s0_beta-4"),
    ],
)
def test_the_folder_of_a_new_run(launcher, folder, scheduled, tmp_path, monkeypatch):
    """One that a scheduler may start again is the same at each start, any other is a new one."""
    place = SweepJobPlace(tmp_path / "sweep", 3) if launcher == "another" else None
    of_a_sweep = {SWEEP_FOLDER: str(tmp_path / "sweep"), JOB_INDEX: "7", JOB_SUFFIX: "_beta-4"}
    for name, value in of_a_sweep.items() if launcher == "ours" else ():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("aevq.training.recording.job_name", lambda _: "slurm-31-abc" if scheduled else None)
    first, second = (open_run(parts_of_a_run(tmp_path / "runs"), place).path for _ in range(2))
    if scheduled and launcher == "none":
        folder = "runs/slurm-31-abc_vae_mnist_s0"
    assert re.fullmatch(f"{tmp_path}/{folder}", str(first))
    assert (first == second) == (scheduled and launcher != "ours")
    assert {path.name for path in first.iterdir()} == {"checkpoints", "priors", "images"}
    latest = tmp_path / "runs" / "latest"
    assert latest.resolve() == second if launcher == "none" else not latest.exists()


def test_only_the_process_that_writes_makes_latest_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr("aevq.training.recording.rank", lambda: 1)
    assert open_run(parts_of_a_run(tmp_path)).path.is_dir()
    assert not (tmp_path / "latest").exists()


@pytest.mark.parametrize("scheduled", ["slurm-31-abc", None])
def test_a_folder_that_cannot_be_created_is_refused(scheduled, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("aevq.training.recording.job_name", lambda _: scheduled)
    with pytest.raises(UserError, match=r"paths\.runs: cannot create .*/file/runs/"):
        open_run(parts_of_a_run(tmp_path / "file" / "runs"))
