import subprocess
import sys

from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import distributed

from aevq.config.rank import rank


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
