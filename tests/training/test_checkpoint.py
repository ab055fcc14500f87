"""A training that is stopped and resumed after each of its steps equals an uninterrupted one."""

import zipfile

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from aevq.data.loader import DeviceLoader
from aevq.errors import Stopped, UserError
from aevq.files import load_plain
from aevq.training.checkpoint import AtomicCheckpointIO, ExactResume, StopOnRequest
from aevq.training.lightning_internals import disable_signal_handlers
from aevq.training.stop import StopRequest
from aevq.training.trainer import ValidationInterval

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists:UserWarning")

BATCHES = 4  # per epoch


class Noisy(LightningModule):
    """Its weight depends on batches, noise, optimizer and schedule; `seen` records what happened when."""

    def __init__(self, worse_from: int = 99):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.worse_from = worse_from
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(("train", self.global_step, self.current_epoch, batch_idx, tuple(batch[0].tolist())))
        return (self.weight * (batch[0].float() + torch.randn(3))).square().sum()

    def validation_step(self, batch, batch_idx):
        self.seen.append(("val", self.global_step, tuple(batch[0].tolist())))
        loss = self.global_step if self.global_step >= self.worse_from else 1 / (1 + self.global_step)
        self.log("val", float(loss))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def train_dataloader(self):
        return DeviceLoader((torch.arange(3 * BATCHES),), 3, seed=3, shuffle=True)

    def val_dataloader(self):
        return DeviceLoader((torch.arange(4),), 2)


class StopAt(Callback):
    def __init__(self, request, step):
        self.request, self.step = request, step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step - 1:
            self.request.signum = 15


def fit(folder, stop_at, module, **options):
    """Fit, or resume; stopped after step `stop_at`."""
    request, last = StopRequest(), folder / "last.ckpt"
    stop = StopOnRequest(request)
    stop.path = last
    saved = ModelCheckpoint(folder, "last", save_top_k=1, enable_version_counter=False)
    early = EarlyStopping("val", patience=2, mode="min")
    callbacks = [ExactResume(), StopAt(request, stop_at), stop, early, saved, ValidationInterval()]
    limits = {"max_steps": 11, "max_epochs": -1, "val_check_interval": 3, "check_val_every_n_epoch": None, **options}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    quiet |= {"accelerator": "cpu", "devices": 1, "default_root_dir": folder, "plugins": [AtomicCheckpointIO()]}
    trainer = Trainer(callbacks=callbacks, **quiet, **limits)
    disable_signal_handlers(trainer)
    torch.manual_seed(0)
    try:
        with request.deferred():
            trainer.fit(module, ckpt_path=last if last.exists() else None)
    except Stopped:
        return trainer, False
    return trainer, True


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"val_check_interval": 4},  # at the end of each epoch
        {"val_check_interval": 2},
        {"val_check_interval": 1.0, "check_val_every_n_epoch": 1},
        {"val_check_interval": 2, "check_val_every_n_epoch": 2},
        {"limit_train_batches": 3, "val_check_interval": 3},
        {"limit_val_batches": 0},
        {"accumulate_grad_batches": 2, "val_check_interval": 2, "max_steps": 5},
        {"accumulate_grad_batches": 3, "val_check_interval": 3, "max_steps": 8},  # steps of three batches and of one
        {"accumulate_grad_batches": 3, "val_check_interval": 1, "check_val_every_n_epoch": 2, "max_steps": 8},
        {"max_steps": -1, "max_epochs": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("worse_from", [99, 4], ids=["to the end", "stopped early"])
def test_a_training_stopped_after_each_step_equals_an_uninterrupted_one(options, worse_from, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = Noisy(worse_from)
    uncut, _ = fit(tmp_path / "whole", 0, whole, **options)
    seen, step = [], 0
    while True:
        step += 1
        module = Noisy(worse_from)
        trainer, finished = fit(tmp_path / "cut", step, module, **options)
        seen += module.seen
        if finished:
            break
        assert trainer.global_step == step
    assert step > 4
    assert seen == whole.seen
    assert module.weight.equal(whole.weight)
    assert trainer.current_epoch == uncut.current_epoch
    assert trainer.global_step == uncut.global_step


def test_a_training_that_was_stopped_early_can_be_resumed_for_longer(tmp_path):
    """Its checkpoint holds nothing that would end it again."""
    trainer, finished = fit(tmp_path, 0, Noisy(worse_from=4), val_check_interval=2)
    assert finished
    ended = trainer.global_step
    trainer.should_stop = False
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again, _ = fit(tmp_path, 0, Noisy(worse_from=4), val_check_interval=2)
    assert ended < again.global_step < 11


def test_a_schedule_of_a_fixed_length_refuses_a_longer_training_at_its_start(tmp_path, monkeypatch):
    def one_cycle(self):
        optimizer = torch.optim.AdamW(self.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=self.trainer.max_steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    monkeypatch.setattr(Noisy, "configure_optimizers", one_cycle)
    trainer, _ = fit(tmp_path, 0, Noisy(), max_steps=6)
    assert trainer.global_step == 6
    with pytest.raises(
        UserError, match=r"^trainer\.max_steps: expected 6 steps, for which OneCycleLR was made, got 9$"
    ):
        fit(tmp_path, 0, Noisy(), max_steps=9)


CYCLE: list = []
CYCLE.append(CYCLE)
DOUBLED: list = []
for _ in range(60):
    DOUBLED = [DOUBLED, DOUBLED]  # 2^60 values
DEEP, LEVELS = "DEEP", 100_000  # pickle does not write so many
BATCH_COUNTERS = ("loops", "fit_loop", "epoch_loop.batch_progress", "current", "ready")
STEP_COUNTERS = ("loops", "fit_loop", "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total")


@pytest.mark.hostile
@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((("loops",), value) for value in (5, [], {}, {"fit_loop": 5}, DEEP, CYCLE, DOUBLED)),
        *((("callbacks",), value) for value in (None, "x", [1], DEEP)),
        *((("global_step",), value) for value in (None, "x", 1.5)),
        *((("state_dict",), value) for value in (3, {}, {"weight": 3}, {"weight": torch.ones(7)})),
        *((("optimizer_states",), value) for value in (5, [{}], [DOUBLED])),
        *((("lr_schedulers",), value) for value in (5, [3])),
        *((("exact",), value) for value in ([], {"ranks": 3}, {"ranks": [{"cpu": "x"}], "stop": False})),
        (("pytorch-lightning_version",), 7),
        (BATCH_COUNTERS, "x"),
        (STEP_COUNTERS, {"ready": "x", "completed": "x"}),
        (("loops", "fit_loop", "state_dict", "combined_loader"), [{"epoch": "x", "position": []}]),
        (("callbacks", "EarlyStopping{'monitor': 'val', 'mode': 'min'}", "wait_count"), "x"),
        (("callbacks", "EarlyStopping{'monitor': 'val', 'mode': 'min'}", "best_score"), None),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else type(value).__name__,
)
def test_a_checkpoint_with_wrong_values_is_refused_in_one_line(place, value, tmp_path):
    fit(tmp_path, 4, Noisy())
    path = tmp_path / "last.ckpt"
    checkpoint = part = load_plain(path)
    for key in place[:-1]:
        part = part[key]
    assert place[-1] in part
    part[place[-1]] = value
    torch.save(checkpoint, path)
    if value is DEEP:
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content.replace(b"X\4\0\0\0DEEP", b"]" * LEVELS + b"a" * (LEVELS - 1)))
    with pytest.raises(UserError) as error:
        fit(tmp_path, 0, Noisy())
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
