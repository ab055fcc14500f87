"""A run that is told to stop saves, says so by its exit code, and goes on to the same end."""

from __future__ import annotations

import os
import signal

import pytest

import aevq
from aevq.errors import INTERRUPTED, PREEMPTED, Stopped
from aevq.files import atomic_write
from aevq.models import VQVAE
from aevq.priors import PixelCNN
from aevq.train import main as train_main
from aevq.training.stop import Notice
from helpers.same_runs import assert_same
from helpers.small_runs import QUICK, SMALL

# Five batches an epoch, validations within epochs and at their ends.
ARGUMENTS = [
    "model=vqvae",
    *QUICK,
    *SMALL["vqvae"],
    "data.batch_size=800",
    "prior.pixelcnn.batch_size=800",
    "trainer.max_steps=7",
    "trainer.val_check_interval=4",
    "trainer.log_every_n_steps=3",
    "prior.pixelcnn.max_steps=6",
    "prior.pixelcnn.val_every_steps=5",
    "prior.pixelcnn.dropout=0.1",
]


@pytest.fixture
def signalled(monkeypatch):
    """Lets a training send its own process a signal within a step."""

    def send(cls, signum, step):
        name = {VQVAE: "_loss", PixelCNN: "_nats"}[cls]  # another `training_step` would be taken for one of a new model
        original = getattr(cls, name)

        def within_a_step(self, batch):
            if self.training and self.global_step == step - 1:
                os.kill(os.getpid(), signum)
            return original(self, batch)

        monkeypatch.setattr(cls, name, within_a_step)
        return lambda: monkeypatch.setattr(cls, name, original)

    return send


@pytest.mark.parametrize("at_once", [1, 3])
def test_stopped_after_steps_of_both_stages_a_run_ends_as_if_never_stopped(at_once, command, signalled):
    """One run, stopped six times by either signal, around the ends of epochs and at validations."""
    arguments = [*ARGUMENTS, f"steps_at_once={at_once}"]
    command(train_main, *arguments)
    whole = aevq.load("latest")
    resumed = 0
    for cls, steps in ((VQVAE, (1, 4, 5, 6)), (PixelCNN, (2, 5))):
        for step in steps:
            signum = (signal.SIGTERM, signal.SIGUSR1)[step % 2]
            restore = signalled(cls, signum, step)
            code, _, err = command(train_main, *arguments)
            restore()
            run = aevq.load("latest")
            assert code == PREEMPTED, err
            assert run.result.status == "interrupted"
            assert run.result.error == f"stopped by {signum.name}"
            assert run.result.resumed == resumed
            arguments, resumed = ["resume=latest"], resumed + 1
    code, _, err = command(train_main, "resume=latest")
    assert code == 0, err
    assert run.path != whole.path
    assert_same(aevq.load("latest"), whole)


def test_ctrl_c_saves_as_well_and_keeps_its_exit_code(command, signalled):
    restore = signalled(VQVAE, signal.SIGINT, 2)
    code, _, _ = command(train_main, *ARGUMENTS)
    restore()
    assert code == INTERRUPTED
    assert (aevq.load("latest").checkpoints / "last.ckpt").is_file()


def test_outside_a_training_a_signal_is_obeyed_at_once(command, monkeypatch):
    monkeypatch.setattr("aevq.training.job.draw_run", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    code, _, _ = command(train_main, "model=vae", *QUICK, *SMALL["vae"])
    assert code == PREEMPTED
    assert aevq.load("latest").result.status == "interrupted"
    monkeypatch.undo()


def test_a_second_ctrl_c_does_not_wait():
    notice = Notice()

    def interrupted_twice():
        with notice.listening(), notice.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            assert notice.received == signal.SIGINT
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stop:
        interrupted_twice()
    assert not isinstance(stop.value, Stopped)


def test_further_notices_disturb_nothing():
    cleaned = []

    def told_again_while_cleaning_up():
        with Notice().listening():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGUSR1)
                cleaned.append(True)

    with pytest.raises(Stopped) as stop:
        told_again_while_cleaning_up()
    assert cleaned
    assert stop.value.exit_code == PREEMPTED


def test_a_wrappers_own_signal_is_given_back_to_it():
    """Submitit listens to SIGUSR2: it puts the job back into the queue, once the run has saved."""
    happened = []
    before = signal.signal(signal.SIGUSR2, lambda *_: happened.append("requeued"))
    notice = Notice()

    def train():
        with notice.listening(), notice.deferred():
            os.kill(os.getpid(), signal.SIGUSR2)
            happened.append("saved")

    try:
        with pytest.raises(Stopped):
            train()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert happened == ["saved", "requeued"]


def test_handlers_are_as_before_afterwards():
    listened = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(signum) for signum in listened]
    with Notice().listening():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(signum) for signum in listened] == before


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_previous_checkpoint(fails, tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    atomic_write(path, b"good")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": ("os.fsync", full), "replace": ("pathlib.Path.replace", full)}[fails])
    with pytest.raises(OSError, match="No space"):
        atomic_write(path, b"new and longer")
    monkeypatch.undo()
    assert path.read_bytes() == b"good"
    assert list(tmp_path.iterdir()) == [path]
