import threading

import pytest
import torch
from filelock import FileLock, Timeout

from aevq.errors import UserError
from aevq.files import acquire, atomic_write, load_plain


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


@pytest.mark.parametrize("content", [{"state_dict": Payload()}, "text"])
def test_a_checkpoint_that_is_missing_torn_or_not_ours_is_refused_and_runs_no_code(content, tmp_path, capsys):
    path = tmp_path / "best.ckpt"
    with pytest.raises(UserError, match="no such checkpoint"):
        load_plain(path)
    torch.save(content, path)
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_plain(path)
    torch.save({"state_dict": {"w": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_plain(path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.fault("a lock that another process holds: after a few seconds a line says what is waited for")
def test_a_held_lock_is_named(tmp_path, monkeypatch, caplog, observed):
    monkeypatch.setattr("aevq.files.SILENT_SECONDS", 0.05)
    held, ends = threading.Event(), threading.Event()

    def hold():
        with FileLock(tmp_path / ".lock"):
            held.set()
            ends.wait(10)

    threading.Thread(target=hold).start()
    held.wait(10)
    with pytest.raises(Timeout):
        acquire(FileLock(tmp_path / ".lock"), "another process", timeout=0.2)
    (message,) = caplog.messages
    assert message == f"waiting for another process, which holds {tmp_path / '.lock'}"
    threading.Timer(0.3, ends.set).start()
    with acquire(FileLock(tmp_path / ".lock"), "another process"):
        assert len(caplog.messages) == 2
    with acquire(FileLock(tmp_path / ".lock"), "another process", timeout=0):
        pass
    observed(message)
