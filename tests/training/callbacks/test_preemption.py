"""How Lightning's own handling of signals is kept away, and only where it is known."""

from __future__ import annotations

import signal

import pytest
from pytorch_lightning import Trainer

from aevq.training.callbacks import preemption
from aevq.training.callbacks.preemption import leave_signals_to_us


@pytest.fixture
def trainer():
    return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def test_no_handler_is_registered_and_nothing_broadcast(trainer):
    leave_signals_to_us(trainer)
    before = signal.getsignal(signal.SIGTERM)
    trainer._signal_connector.register_signal_handlers()
    assert signal.getsignal(signal.SIGTERM) is before
    assert "_broadcast_sigterm_tensor" in vars(trainer.fit_loop.epoch_loop)  # in place of the class's


def test_a_version_that_nobody_has_looked_at_is_left_as_it_is(trainer, monkeypatch):
    monkeypatch.setattr(preemption, "RequirementCache", lambda requirement: "<2.7" not in requirement)
    leave_signals_to_us(trainer)
    assert "_broadcast_sigterm_tensor" not in vars(trainer.fit_loop.epoch_loop)
    assert "register_signal_handlers" not in vars(trainer._signal_connector)
