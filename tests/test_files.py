import pytest
import torch

from aevq.errors import UserError
from aevq.files import atomic_write, load_plain


@pytest.mark.parametrize("fails", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_previous_file(fails, tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    atomic_write(path, b"good")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fails, full)
    with pytest.raises(OSError, match=r"No space left on device: .*last\.ckpt'$"):
        atomic_write(path, b"new and longer")
    monkeypatch.undo()
    assert path.read_bytes() == b"good"
    assert list(tmp_path.iterdir()) == [path]


def test_text_and_bytes_are_written_and_replaced(tmp_path):
    for content in ("grün", b"\x00\x01"):
        atomic_write(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == (content.encode() if isinstance(content, str) else content)


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("content", [{"config": {"model": {}}, "state_dict": Payload()}, "text"])
def test_a_checkpoint_that_is_not_ours_is_refused_and_runs_no_code(tmp_path, capsys, content):
    path = tmp_path / "best.ckpt"
    torch.save(content, path)
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_plain(path)
    assert "executed" not in capsys.readouterr().out


def test_a_torn_or_missing_checkpoint_is_refused(tmp_path):
    path = tmp_path / "best.ckpt"
    with pytest.raises(UserError, match="no such checkpoint"):
        load_plain(path)
    torch.save({"config": {"model": {}}, "state_dict": {"w": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_plain(path)
