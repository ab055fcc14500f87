"""W&B servers that misbehave, played by servers of this machine."""

import logging
import threading
import time

import pytest

from aevq.errors import UserError
from aevq.training.wandb import Wandb
from helpers.bad_servers import serving


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Starts a logger whose server is at an address; returns the logger and the seconds that it took."""
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("aevq.training.wandb.SECONDS_TO_START", 3)

    def at(address: str, **arguments):
        monkeypatch.setenv("WANDB_BASE_URL", address)
        begin, logger = time.monotonic(), Wandb(**arguments)
        logger.start(tmp_path, {}, [])
        return logger, time.monotonic() - begin

    return at


@pytest.mark.fault("a W&B server that is {how}: the run continues offline within seconds; one line says how to upload")
@pytest.mark.parametrize("how", ["silent", "refusing", "down"])
def test_a_server_that_misbehaves(how, start, tmp_path, observed, caplog):
    with serving("silent" if how == "down" else how) as address, caplog.at_level(logging.WARNING, "aevq"):
        logger, seconds = start("http://127.0.0.1:9" if how == "down" else address)
        logger.finish(exit_code=0)
    assert list((tmp_path / "wandb").glob("offline-run-*"))
    assert seconds < 30
    assert "wandb sync" in caplog.text
    observed(f"offline after {seconds:.1f} s")


def test_a_server_that_was_asked_for_by_name_is_an_error(start):
    with pytest.raises(UserError, match=r"logger\.wandb\.mode=online: W&B did not accept the run"):
        start("http://127.0.0.1:9", mode="online")


@pytest.mark.fault("a W&B server that hangs while the last metrics are uploaded: the run ends all the same")
def test_a_server_that_hangs_at_the_end(monkeypatch, tmp_path, observed, caplog):
    import wandb

    logger = Wandb(mode="offline")
    logger.start(tmp_path, {}, [])
    ended, finish = threading.Event(), wandb.finish
    monkeypatch.setattr(wandb, "finish", lambda exit_code: ended.wait(60))
    monkeypatch.setattr("aevq.training.wandb.SECONDS_TO_FINISH", 0.3)
    with caplog.at_level(logging.WARNING, "aevq"):
        logger.finish(exit_code=0)
    ended.set()
    finish()
    assert "still uploading" in caplog.text
    observed("not waited for any longer, with one line")
