from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aevq.data import DeviceLoader
from aevq.ops.quantize import code_counts, perplexity
from aevq.training.callbacks import CodebookHealth, ReconstructionPanel, SamplePanel, StepProgress, Throughput
from aevq.training.checkpoint import AtomicCheckpointIO, ExactResume
from aevq.training.trainer import ValidationInterval


class Memory(Logger):
    name = version = "memory"

    def __init__(self):
        super().__init__()
        self.seen = {}

    def log_metrics(self, metrics, step=None):
        for name, value in metrics.items():
            self.seen.setdefault(name, []).append((step, value))

    def log_hyperparams(self, *_):
        pass


def fit(model, digits, tmp_path, callbacks, **changes):
    memory, labels = Memory(), torch.zeros(len(digits), dtype=torch.long)
    arguments = {"max_steps": 6, "max_epochs": -1, "val_check_interval": 3, "check_val_every_n_epoch": None}
    arguments |= {"log_every_n_steps": 2, "num_sanity_val_steps": 0, "logger": memory}
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        default_root_dir=tmp_path,
        enable_model_summary=False,
        enable_checkpointing=False,
        enable_progress_bar=any(isinstance(callback, StepProgress) for callback in callbacks),
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        **arguments | changes,
    )
    train, val = DeviceLoader((digits, labels), 100, shuffle=True), DeviceLoader((digits[:250], labels[:250]), 100)
    trainer.fit(model, train, val)
    return trainer, memory.seen


@pytest.mark.parametrize("batches", [1, 5])
def test_loss_terms_are_logged_as_means_since_the_last_log(batches, make_model, digits, tmp_path):
    model, losses = make_model("ae"), []
    step = model.training_step
    model.training_step = lambda *batch: losses.append(step(*batch)) or losses[-1]
    _, seen = fit(model, digits, tmp_path, [], accumulate_grad_batches=batches)
    expected = torch.stack(losses).detach().view(3, 2 * batches).mean(1)
    assert [value for _, value in seen["train/objective"]] == pytest.approx(expected.tolist(), rel=1e-5)
    assert [step for step, _ in seen["train/objective"]] == [1, 3, 5]


@pytest.mark.fault("intervals count optimizer steps where gradients are accumulated")
@pytest.mark.parametrize(
    ("interval", "epochs", "validated"),
    [(2, None, [1, 3, 5, 6]), (4, None, [3, 6]), (2, 1, [1, 4, 6]), (1.0, 1, [2, 5, 6]), (0.5, 2, [3, 4, 5])],
)
def test_intervals_count_optimizer_steps(interval, epochs, validated, make_model, digits, tmp_path):
    """An epoch has ten batches, and so three steps: of four, four and two."""
    options = {"accumulate_grad_batches": 4, "val_check_interval": interval, "check_val_every_n_epoch": epochs}
    _, seen = fit(make_model("ae"), digits, tmp_path, [Throughput(), ValidationInterval()], max_steps=7, **options)
    assert [step for step, _ in seen["val/objective"]] == validated
    assert [step for step, _ in seen["train/objective"]] == [1, 3, 5]
    assert [step for step, _ in seen["train/images_per_second"]] == [1, 3, 5]


def test_throughput_counts_training_images_and_seconds(make_model, digits, tmp_path):
    throughput = Throughput()
    _, seen = fit(make_model("ae"), digits, tmp_path, [throughput])
    assert throughput.images == 600
    assert throughput.seconds > 0
    assert throughput.images_per_second == pytest.approx(600 / throughput.seconds)
    assert all(rate > 0 for _, rate in seen["train/images_per_second"])
    again = Throughput()
    again.load_state_dict(throughput.state_dict())
    assert again.images_per_second == throughput.images_per_second


def test_codebook_health_is_measured_on_the_whole_validation_split(make_model, digits, tmp_path):
    model = make_model("vqvae")
    _, seen = fit(model, digits, tmp_path, [CodebookHealth()])
    counts = code_counts(model.eval().encode(digits[:250]), 16)
    assert seen["val/codebook_perplexity"][-1][1] == pytest.approx(perplexity(counts).item(), rel=1e-5)
    _, seen = fit(make_model("ae"), digits, tmp_path, [CodebookHealth()])
    assert "val/codebook_perplexity" not in seen


def test_the_last_step_is_validated_wherever_it_falls(make_model, digits, tmp_path):
    _, seen = fit(make_model("ae"), digits, tmp_path, [], max_steps=5)
    assert [step for step, _ in seen["val/objective"]] == [2, 4]


def test_neither_validations_nor_shown_samples_change_the_training(make_model, digits, tmp_path):
    weights = []
    for interval, callbacks in ((2, []), (6, []), (2, [SamplePanel(20, seed=0)])):
        torch.manual_seed(0)
        model, logger = make_model("vae"), TensorBoardLogger(str(tmp_path), name="", version=None)
        fit(model, digits, tmp_path, callbacks, val_check_interval=interval, logger=logger)
        weights.append(model.encoder[1].weight)
    assert weights[0].equal(weights[1])
    assert weights[0].equal(weights[2])


@pytest.mark.parametrize(("name", "steps"), [("ae", [2, 5]), ("vae", [2, 5]), ("vqvae", [])])
def test_samples_are_shown_after_each_validation_where_a_standard_normal_fits(
    name, steps, make_model, digits, tmp_path
):
    logger = TensorBoardLogger(str(tmp_path), name="", version="events")
    fit(make_model(name), digits, tmp_path, [SamplePanel(20, seed=0)], logger=logger)
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    tags = events.Tags()["images"]
    assert tags == (["val/samples_standard_normal"] if steps else [])
    shown = [image for tag in tags for image in events.Images(tag)]
    assert [image.step for image in shown] == steps
    assert [event.step for event in events.Scalars("val/objective")] == [2, 5]
    assert len({image.encoded_image_string for image in shown}) == len(steps)  # the model has changed in between


def test_the_panel_shows_one_image_of_each_class_of_a_sorted_split(make_model, monkeypatch):
    shown, labels = [], torch.arange(500) // 50
    images = (labels / 10).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    monkeypatch.setattr("aevq.training.callbacks._is_shown", lambda _: True)
    monkeypatch.setattr("aevq.training.callbacks._show", lambda trainer, name, panel: shown.append(panel))
    data = SimpleNamespace(images=lambda split: images, labels=lambda split: labels, num_classes=10)
    ReconstructionPanel(10).on_validation_end(SimpleNamespace(datamodule=data), make_model("ae"))
    originals = shown[0][0, 16, 16::30]  # one pixel of each image in the first row
    torch.testing.assert_close(originals[:10], torch.arange(10) / 10)


def test_a_checkpoint_holds_plain_values_the_model_and_what_was_added(make_model, digits, tmp_path):
    trainer, _ = fit(make_model("ae"), digits, tmp_path, [ExactResume({"fitted_to": "abc"})])
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert checkpoint["fitted_to"] == "abc"
    assert checkpoint["model"]["_target_"] == "aevq.models.ae.AE"
    assert checkpoint["model"]["latent_dim"] == 4
    assert not list(tmp_path.glob(".a.ckpt*"))


def test_without_a_terminal_progress_is_ten_lines_and_on_one_a_bar(make_model, digits, tmp_path, monkeypatch, capsys):
    fit(make_model("ae"), digits, tmp_path, [StepProgress("AE on digits")], max_steps=40)
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("AE on digits: step 40/40  objective ")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    fit(make_model("ae"), digits, tmp_path, [StepProgress("AE on digits")], max_steps=40)
    out = capsys.readouterr().out
    assert "40/40" in out
    assert "objective" in out
