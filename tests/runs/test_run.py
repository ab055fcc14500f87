import pytest
import torch

from aevq.errors import UserError
from aevq.runs.run import load_checkpoint


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("content", [{"state_dict": {}}, {"config": {"model": {}}, "state_dict": Payload()}, "text"])
def test_a_checkpoint_that_is_not_ours_is_refused_and_runs_no_code(tmp_path, capsys, content):
    path = tmp_path / "best.ckpt"
    torch.save(content, path)
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_checkpoint(path)
    assert "executed" not in capsys.readouterr().out


def test_a_torn_or_missing_checkpoint_is_refused(tmp_path):
    path = tmp_path / "best.ckpt"
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(path)
    torch.save({"config": {"model": {}}, "state_dict": {"w": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_checkpoint(path)
