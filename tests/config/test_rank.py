import os
import subprocess
import sys

import pytest
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import distributed

from aevq.config.rank import LAUNCHED, RANKS, ignore_stray_ranks, rank
from aevq.train import main


def test_the_rank_is_that_of_the_process_group_or_of_lightning(monkeypatch):
    assert rank() == 0
    monkeypatch.setattr(rank_zero_only, "rank", 2)
    assert rank() == 2
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_rank", lambda: 3)
    assert rank() == 3


def test_a_variable_of_another_program_is_not_a_rank_and_torch_is_not_imported():
    code = "import sys; from aevq.config.rank import rank; sys.exit(10 * ('torch' in sys.modules) + rank())"
    environment = {"PYTHONPATH": ":".join(sys.path), "RANK": "3"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.fault("a rank of another program in the environment: ignored, unless a launcher says that there are more")
@pytest.mark.parametrize("launcher", [None, *LAUNCHED])
def test_a_rank_counts_only_with_a_launcher(launcher, monkeypatch):
    for name in (*RANKS, *LAUNCHED):
        monkeypatch.delenv(name, raising=False)
    for name in filter(None, ("SLURM_PROCID", "LOCAL_RANK", launcher)):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # as Lightning has read it, if it was imported before
    ignore_stray_ranks()
    assert rank() == (1 if launcher else 0)
    assert ("LOCAL_RANK" in os.environ) == bool(launcher)


@pytest.mark.fault("a rank above 0 where the trainer has one process: one line before anything is written")
def test_a_rank_that_the_trainer_does_not_have_is_refused(command, tmp_path, monkeypatch, observed):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    code, _, err = command(main, "data=mnist5k", "trainer=cpu")
    assert code == 1
    assert err.startswith("error: trainer.devices: the environment (RANK, LOCAL_RANK or SLURM_PROCID) sets rank 1")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
    observed(err.strip())
