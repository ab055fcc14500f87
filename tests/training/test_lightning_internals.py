"""Lightning's own handling of signals is disabled, and only one file depends on private parts of Lightning."""

import ast
import os
import signal
import subprocess
from pathlib import Path

import pytest
from pytorch_lightning import Trainer

import aevq
from aevq.training import lightning_internals
from aevq.training.lightning_internals import disable_signal_handlers

PACKAGE = Path(aevq.__file__).parent
ROOMS = ("data", "models", "nn", "priors", "runs", "sweeps", "training")  # those that import Lightning, and more


@pytest.fixture
def trainer():
    return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def test_no_signal_handler_is_registered_and_no_flag_broadcast(trainer):
    before = signal.getsignal(signal.SIGTERM)
    disable_signal_handlers(trainer)
    trainer._signal_connector.register_signal_handlers()
    assert signal.getsignal(signal.SIGTERM) is before
    assert "_broadcast_sigterm_tensor" in vars(trainer.fit_loop.epoch_loop), "it replaces the method of the class"


def test_rank_0_has_time_to_record_the_dead_rank_before_lightning_kills_it(monkeypatch, capsys):
    rank_1 = subprocess.Popen(["sh", "-c", "kill -9 $$"])
    rank_1.wait()
    events = []
    monkeypatch.setattr(lightning_internals.time, "sleep", events.append)
    monkeypatch.setattr(os, "kill", lambda *sent: events.append(sent))
    assert lightning_internals._NamingObserver(main_pid=7, child_processes=[rank_1])._run()
    assert events == [lightning_internals.SECONDS_TO_RECORD, (7, signal.SIGKILL)]
    assert capsys.readouterr().err == "error: rank 1 died (SIGKILL); the run has stopped and can be resumed\n"


def private_attributes(path: Path) -> set[str]:
    """Return the private attributes that a file uses of something other than its own objects."""
    return {
        f"{ast.unparse(node.value)}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) not in ("self", "cls", "super()", "os")
    }


def test_one_file_uses_private_attributes_of_lightning():
    files = [PACKAGE / "train.py", *(path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))]
    found = {path.name: names for path in files if (names := private_attributes(path))}
    assert found.pop("lightning_internals.py") >= {"trainer.fit_loop._can_stop_early", "trainer._signal_connector"}
    assert found == {}
