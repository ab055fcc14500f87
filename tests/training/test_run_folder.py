"""Which folder a run gets: typed by hand, in a sweep of ours, in a sweep of another launcher, under a scheduler."""

from datetime import datetime
from pathlib import Path

import pytest

from aevq.errors import UserError
from aevq.runs.status import JOB_INDEX, JOB_SUFFIX, SWEEP_FOLDER
from aevq.training.run_folder import NewFolder, SweepJobPlace, resolve_run_folder

RUNS, NAME, NOW = Path("/runs"), "vae_mnist_s0", datetime(2026, 3, 29, 2, 30, 5)
OWN_SWEEP = {SWEEP_FOLDER: "/runs/sweep/a", JOB_INDEX: "7", JOB_SUFFIX: "_beta-4"}
PLACE = SweepJobPlace(Path("/elsewhere"), 3)


@pytest.mark.parametrize(
    ("scheduled", "place", "environment", "expected"),
    [
        (None, None, {}, NewFolder(Path("/runs/2026-03-29_02-30-05_vae_mnist_s0"), latest=True)),
        ("slurm-31-abc", None, {}, NewFolder(Path("/runs/slurm-31-abc_vae_mnist_s0"), stable=True, latest=True)),
        (None, PLACE, {}, NewFolder(Path("/elsewhere/3_vae_mnist_s0"))),
        ("slurm-31-abc", PLACE, {}, NewFolder(Path("/elsewhere/3_vae_mnist_s0"), stable=True)),
        (None, None, OWN_SWEEP, NewFolder(Path("/runs/sweep/a/7_vae_mnist_s0_beta-4"))),
        ("slurm-31-abc", None, OWN_SWEEP, NewFolder(Path("/runs/sweep/a/7_vae_mnist_s0_beta-4"))),
    ],
    ids=[
        "by hand",
        "scheduled",
        "another launcher",
        "another launcher on a cluster",
        "our sweep",
        "our sweep in a job",
    ],
)
def test_the_folder_of_a_new_run(scheduled, place, environment, expected):
    assert resolve_run_folder(NAME, RUNS, scheduled, place, environment, NOW) == expected


def test_a_folder_that_is_taken_gets_a_number_unless_it_is_stable(tmp_path):
    for stable, names in ((False, ["a", "a-2"]), (True, ["b", "b"])):
        folder = NewFolder(tmp_path / names[0], stable=stable)
        assert [folder.create(active=True).name for _ in range(2)] == names
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"checkpoints", "priors", "images"}
    assert not (tmp_path / "latest").exists()


def test_the_process_that_writes_makes_latest_a_link(tmp_path):
    NewFolder(tmp_path / "a", stable=True, latest=True).create(active=False)
    assert not (tmp_path / "latest").exists()
    NewFolder(tmp_path / "a", stable=True, latest=True).create(active=True)
    assert (tmp_path / "latest").resolve() == tmp_path / "a"


def test_a_folder_that_cannot_be_created_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for stable in (False, True):
        with pytest.raises(UserError, match=r"paths\.runs: cannot create"):
            NewFolder(tmp_path / "file" / "a", stable=stable).create(active=True)
