"""A run that is asked to stop saves its state, exits with a code of its own, and resumes to the same end."""

import os
import re
import signal
import subprocess
from types import SimpleNamespace

import pytest

import aevq
from aevq.errors import INTERRUPTED, PREEMPTED, Stopped, UserError
from aevq.files import load_plain
from aevq.models import VQVAE
from aevq.priors import PixelCNN
from aevq.train import main as train_main
from aevq.training.stop import StopRequest
from helpers.same_runs import assert_same
from helpers.small_runs import SMALL_VAE, SMALL_VQVAE

# Five batches per epoch, validations within epochs and at their ends.
ARGUMENTS = [
    *SMALL_VQVAE,
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
    """Lets a training send a signal to its own process within a step."""

    def send(cls, signum, step):
        name = {VQVAE: "loss_terms", PixelCNN: "_losses"}[cls]
        original = getattr(cls, name)

        def within_a_step(self, batch):
            if self.training and self.global_step == step - 1:
                os.kill(os.getpid(), signum)
            return original(self, batch)

        monkeypatch.setattr(cls, name, within_a_step)
        return lambda: monkeypatch.setattr(cls, name, original)

    return send


def test_a_run_that_is_stopped_in_both_stages_equals_an_uninterrupted_one(command, signalled):
    """One run, stopped six times by either signal, around the ends of epochs and at validations."""
    command(train_main, *ARGUMENTS)
    whole = aevq.load("latest")
    arguments, resumed = ARGUMENTS, 0
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
            folder = run.checkpoints if cls is VQVAE else run.priors / "pixelcnn"
            assert load_plain(folder / "last.ckpt")["global_step"] == step
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


def test_a_run_that_cannot_save_when_it_is_stopped_fails(command, signalled, monkeypatch):
    """Its exit code must not say that it can be resumed from there."""

    def full(path, _):
        raise OSError(28, "No space left on device", str(path))

    signalled(VQVAE, signal.SIGTERM, 2)
    monkeypatch.setattr("aevq.training.checkpoint.atomic_write", full)
    code, _, err = command(train_main, *ARGUMENTS)
    assert code == 1
    assert "last.ckpt: No space left on device" in err
    assert aevq.load("latest").result.status == "failed"


def test_outside_a_training_a_signal_stops_the_run_at_once(command, monkeypatch):
    monkeypatch.setattr("aevq.report.plots.draw_run", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    code, _, _ = command(train_main, *SMALL_VAE)
    assert code == PREEMPTED
    assert aevq.load("latest").result.status == "interrupted"


def test_a_second_ctrl_c_does_not_wait():
    request = StopRequest()

    def interrupted_twice():
        with request.listening(), request.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            assert request.signum == signal.SIGINT
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stop:
        interrupted_twice()
    assert not isinstance(stop.value, Stopped)


def test_further_requests_do_not_disturb_the_clean_up():
    cleaned = []

    def signalled_again_while_cleaning_up():
        with StopRequest().listening():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGUSR1)
                cleaned.append(True)

    with pytest.raises(Stopped) as stop:
        signalled_again_while_cleaning_up()
    assert cleaned
    assert stop.value.exit_code == PREEMPTED


def test_the_handler_of_a_wrapper_is_called_afterwards():
    """Submitit handles SIGUSR2: it puts the job back into the queue, once the run has saved."""
    happened = []
    before = signal.signal(signal.SIGUSR2, lambda *_: happened.append("requeued"))
    request = StopRequest()

    def train():
        with request.listening(), request.deferred():
            os.kill(os.getpid(), signal.SIGUSR2)
            happened.append("saved")

    try:
        with pytest.raises(Stopped):
            train()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert happened == ["saved", "requeued"]


@pytest.mark.fault("a rank that dies is named by the others")
@pytest.mark.parametrize(
    ("how", "named"), [("kill -9 $$", "rank 1 died (SIGKILL)"), ("exit 3", "rank 1 died (exit code 3)")]
)
def test_a_rank_that_dies_is_named(how, named):
    request, dead = StopRequest(), subprocess.Popen(["sh", "-c", how])
    request.launchers.append(SimpleNamespace(procs=[dead]))
    broken = "[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234"
    with pytest.raises(UserError, match=f"^{re.escape(named)}"), request.deferred():
        raise RuntimeError(broken)
    with pytest.raises(RuntimeError, match=r"^a bug$"), request.deferred():
        raise RuntimeError("a bug")
    with pytest.raises(UserError, match=r"^rank 0 lost the connection to another rank"), StopRequest().deferred():
        raise RuntimeError(broken)


def test_handlers_are_restored():
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(signum) for signum in handled]
    with StopRequest().listening():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(signum) for signum in handled] == before
