"""Lightning saves and restores the loader: a resumed fit sees the batches of the uninterrupted one."""

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from aevq.data.loader import DeviceLoader

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # Lightning 2.6 with torch 2.15
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists:UserWarning"),  # it is what a resume does
]

EPOCHS, BATCHES = 3, 4


class Recorder(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch[0].tolist())
        return self.weight * batch[0].float().mean()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self):
        return DeviceLoader((torch.arange(10),), 3, seed=3, shuffle=True)

    def val_dataloader(self):
        return DeviceLoader((torch.arange(4),), 2)


def fit(folder, *callbacks, ckpt_path=None, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    options = {"max_epochs": EPOCHS, "enable_checkpointing": bool(callbacks), "callbacks": list(callbacks)} | options
    trainer = Trainer(accelerator="cpu", devices=1, default_root_dir=folder, **quiet, **options)
    module = Recorder()
    trainer.fit(module, ckpt_path=ckpt_path)
    return module.seen, trainer


def uninterrupted():
    module = Recorder()
    loader = module.train_dataloader()
    return [batch.tolist() for _ in range(EPOCHS) for (batch,) in loader]


def check_resume(folder, steps, options=None, **checkpoint):
    """Fit with a checkpoint at each of `steps`, then resume from each."""

    def saving(subfolder):
        return ModelCheckpoint(folder / subfolder, "{step}", save_top_k=-1, **checkpoint)

    options = options or {}
    seen, _ = fit(folder, saving("run"), **options)
    (folder / "run").rename(folder / "saved")  # a resumed fit writes its own
    assert sorted(int(path.stem.removeprefix("step=")) for path in (folder / "saved").iterdir()) == steps
    for step in steps:
        rest, _ = fit(folder, saving("run"), ckpt_path=folder / "saved" / f"step={step}.ckpt", **options)
        assert rest == seen[step:], f"resumed at step {step}"
    return seen


@pytest.mark.parametrize("validate", [0, 1.0], ids=["no-val", "val"])
def test_resume_from_every_step(tmp_path, validate):
    steps = list(range(1, EPOCHS * BATCHES + 1))
    seen = check_resume(tmp_path, steps, {"limit_val_batches": validate}, every_n_train_steps=1)
    assert seen == uninterrupted()


@pytest.mark.parametrize("limit", [None, 2], ids=["whole", "limited"])
@pytest.mark.parametrize("on_train_end", [True, False])
def test_resume_from_the_end_of_an_epoch(tmp_path, limit, on_train_end):
    steps = [epoch * (limit or BATCHES) for epoch in range(1, EPOCHS + 1)]
    check_resume(tmp_path, steps, {"limit_train_batches": limit}, save_on_train_epoch_end=on_train_end)


def test_resume_after_a_validation_inside_an_epoch(tmp_path):
    steps = list(range(2, EPOCHS * BATCHES + 1, 2))
    check_resume(tmp_path, steps, {"val_check_interval": 2}, save_on_train_epoch_end=False)


@pytest.mark.parametrize("stop", [1, 3, 4, 5, 8, 9])
def test_resume_after_max_steps(tmp_path, stop):
    begun, trainer = fit(tmp_path, max_epochs=-1, max_steps=stop)
    trainer.save_checkpoint(tmp_path / "stopped.ckpt")
    rest, _ = fit(tmp_path, ckpt_path=tmp_path / "stopped.ckpt", max_epochs=-1, max_steps=EPOCHS * BATCHES)
    assert begun + rest == uninterrupted()


def test_resume_again_and_again(tmp_path):
    seen, ckpt_path = [], None
    for epoch in range(1, EPOCHS + 1):
        saving = ModelCheckpoint(tmp_path, f"{epoch}", save_on_train_epoch_end=epoch % 2 == 0)
        more, _ = fit(tmp_path, saving, ckpt_path=ckpt_path, max_epochs=epoch)
        seen, ckpt_path = seen + more, tmp_path / f"{epoch}.ckpt"
    assert seen == uninterrupted()


def test_lightnings_epoch_counts_only_at_the_very_beginning():
    loader = Recorder().train_dataloader()
    loader.load_state_dict({"epoch": 0, "position": 2})
    loader.batch_sampler.sampler.set_epoch(1)
    assert loader.state_dict() == {"epoch": 0, "position": 2}
