"""Trainers of a run: what of Lightning and torch works in them, and limits that the data do not fit."""

from functools import partial

import pytest
from pytorch_lightning import callbacks
from torch.optim import AdamW, lr_scheduler

from aevq.config.command_line import compose
from aevq.data import MNISTDataModule
from aevq.errors import UserError
from aevq.models import AE
from aevq.nn import MLP
from aevq.training.parts import to_plain
from aevq.training.trainer import Trainers, check_lengths


def make(tmp_path, *own_callbacks, **changes):
    config = to_plain(compose("trainer=cpu", "trainer.enable_progress_bar=false"))["trainer"]
    return Trainers(config | changes).make("title", list(own_callbacks), default_root_dir=str(tmp_path))


@pytest.fixture(scope="module")
def data():
    return MNISTDataModule("mnist5k")


@pytest.mark.parametrize(
    ("own_callback", "changes"),
    [
        (None, {"precision": "bf16-mixed", "gradient_clip_val": 1.0}),
        (None, {"precision": "bf16-mixed", "gradient_clip_val": 1.0, "gradient_clip_algorithm": "value"}),
        (callbacks.LearningRateMonitor(), {}),
        (callbacks.RichProgressBar(), {"enable_progress_bar": True}),
        (getattr(callbacks, "WeightAveraging", callbacks.LearningRateMonitor)(), {}),  # since Lightning 2.6
    ],
)
def test_parts_of_lightning_and_torch_train_to_the_end(own_callback, changes, data, tmp_path):
    model = AE(network=MLP([8]), optimizer=partial(AdamW, lr=0.01, fused=True))
    own = [own_callback] if own_callback else []
    trainer = make(tmp_path, *own, max_steps=6, val_check_interval=3, **changes)
    trainer.fit(model, datamodule=data)
    assert trainer.global_step == 6


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", [callbacks.EarlyStopping, partial(callbacks.ModelCheckpoint, filename="x")])
def test_a_callback_that_monitors_what_nothing_logs_is_one_line(kind, data, tmp_path):
    trainer = make(tmp_path, kind(monitor="val/nosuch"), max_steps=2, val_check_interval=1)
    with pytest.raises(UserError, match=r"^trainer: [^\n]*val/nosuch[^\n]*val/objective[^\n]*$"):
        trainer.fit(AE(network=MLP([8])), datamodule=data)


def test_gradients_are_clipped_as_the_trainer_says(data, tmp_path):
    norms = []

    class Norm(callbacks.Callback):
        def on_before_zero_grad(self, trainer, module, optimizer):
            grads = [p.grad.norm() for p in module.parameters() if p.grad is not None]
            norms.extend([sum(norm**2 for norm in grads) ** 0.5] if grads else [])

    model = AE(network=MLP([8]))
    make(tmp_path, Norm(), max_steps=3, gradient_clip_val=0.5).fit(model, datamodule=data)
    assert norms
    assert norms == pytest.approx([0.5] * len(norms), rel=1e-4)


@pytest.mark.parametrize(
    ("schedule", "last"),
    [
        (partial(lr_scheduler.OneCycleLR, max_lr=0.01), 4e-8),
        (partial(lr_scheduler.CosineAnnealingLR, T_max=3), 0.0),
        (partial(lr_scheduler.ExponentialLR, gamma=0.5), 1e-3 / 8),
    ],
)
def test_schedules_of_torch_last_for_the_whole_training(schedule, last, data, tmp_path):
    rates = []

    class Rates(callbacks.Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            rates.append(optimizer.param_groups[0]["lr"])

    model = AE(network=MLP([8]), optimizer=partial(AdamW, lr=1e-3), schedule=schedule)
    make(tmp_path, Rates(), max_steps=4).fit(model, datamodule=data)
    assert len(rates) == 4
    assert rates[-1] == pytest.approx(last, abs=1e-9)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limit_train_batches": 0.001}, "limit_train_batches: expected at least one of 31 batches, got 0.001"),
        ({"limit_val_batches": 0.1}, "limit_val_batches: expected at least one of 1 batches, got 0.1"),
        ({"overfit_batches": 0.01}, "overfit_batches: expected at least one of 31 batches, got 0.01"),
        ({"check_val_every_n_epoch": 1, "val_check_interval": 32}, r"val_check_interval: expected at most 31 \(steps"),
        (
            {"check_val_every_n_epoch": 1, "val_check_interval": 9, "accumulate_grad_batches": 4},
            r"val_check_interval: expected at most 8 \(steps",
        ),
        (
            {"check_val_every_n_epoch": 1, "val_check_interval": 9, "limit_train_batches": 8},
            r"val_check_interval: expected at most 8 \(steps",
        ),
    ],
    ids=str,
)
def test_limits_that_leave_no_batch_or_no_validation_are_refused(changes, message, data, tmp_path):
    with pytest.raises(UserError, match=f"^trainer.{message}"):
        check_lengths(make(tmp_path, **changes), data)


@pytest.mark.bad_input
def test_a_batch_has_to_fit_into_the_images_of_a_process(tmp_path):
    trainer = make(tmp_path, devices=2, strategy="ddp")
    check_lengths(trainer, MNISTDataModule("mnist5k", batch_size=2000))
    with pytest.raises(
        UserError, match=r"^data.batch_size: expected at most 2000 \(train images per process\), got 2001"
    ):
        check_lengths(trainer, MNISTDataModule("mnist5k", batch_size=2001))


@pytest.mark.parametrize("limits", [{}, {"limit_val_batches": 0}, {"overfit_batches": 2}, {"fast_dev_run": True}])
def test_usual_limits_are_accepted(limits, data, tmp_path):
    check_lengths(make(tmp_path, **limits), data)
