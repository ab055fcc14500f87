"""However many optimizer steps are one of Lightning's, the run is the same."""

from __future__ import annotations

import pytest
import torch
from pytorch_lightning.callbacks import LearningRateMonitor

import aevq
from aevq.data.chunks import Chunking
from aevq.errors import UserError
from aevq.models import LatentModel
from aevq.runs.run import read_checkpoint
from aevq.train import main as train_main
from aevq.training.callbacks import CodebookHealth, Throughput
from aevq.training.stepping import check_stepping, plan_chunks, watchers
from helpers.small_runs import QUICK, SMALL

TRAINER = {
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "precision": "32-true",
    "max_steps": 100,
    "max_epochs": -1,
    "val_check_interval": 20,
    "check_val_every_n_epoch": None,
}


def trained(command, name: str, *overrides: str):
    """A run's last weights, what its loggers saw, and its counts."""
    code, _, err = command(train_main, f"model={name}", "prior=none", *QUICK, *SMALL[name][:1], *overrides)
    assert code == 0, err
    run = aevq.load("latest")
    rows = [row for row in (run.path / "metrics.csv").read_text().splitlines() if "images_per_second" not in row]
    counts = {key: run.result.train[key] for key in ("steps", "epochs")}
    return read_checkpoint(run.checkpoints / "last.ckpt")["state_dict"], rows, counts


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(torch.as_tensor(a[key]), torch.as_tensor(b[key])) for key in a)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("ae", []),
        ("vae", ["model.kl_warmup_steps=5", "data.binarize=dynamic", "model/likelihood=bernoulli"]),
        ("vqvae", ["model.num_codes=16", "model.restart.every=3"]),
        ("vqvae", ["model.num_codes=16", "model/codebook_update=gradient"]),
        ("vae", ["trainer.precision=bf16-mixed"]),
        ("ae", ["trainer.max_epochs=2", "trainer.max_steps=-1", "data.batch_size=500"]),
    ],
)
def test_a_run_does_not_depend_on_the_steps_at_once(name, overrides, command):
    limits = ["trainer.max_steps=11", "trainer.val_check_interval=4", "trainer.log_every_n_steps=3"]
    limits += ["data.batch_size=700", *overrides]  # five batches an epoch
    weights, rows, counts = trained(command, name, "steps_at_once=1", *limits)
    same_weights, same_rows, same_counts = trained(command, name, "steps_at_once=3", *limits)
    assert same_rows == rows
    assert same_counts == counts
    assert equal(same_weights, weights)


def test_a_run_cut_within_an_epoch_goes_on_to_the_same_end(command, monkeypatch):
    limits = ["trainer.max_steps=14", "trainer.val_check_interval=4", "data.batch_size=600", "steps_at_once=3"]
    weights, rows, _ = trained(command, "vae", *limits)
    step = LatentModel._optimize

    def cut(self, batch):
        if self.global_step == 9:  # the second epoch has begun at 6, the last checkpoint is of 8
            raise KeyboardInterrupt
        step(self, batch)

    monkeypatch.setattr(LatentModel, "_optimize", cut)
    assert command(train_main, "model=vae", "prior=none", *QUICK, *SMALL["vae"], *limits)[0] == 130
    monkeypatch.setattr(LatentModel, "_optimize", step)
    code, _, err = command(train_main, "resume=latest")
    assert code == 0, err
    run = aevq.load("latest")
    resumed = read_checkpoint(run.checkpoints / "last.ckpt")["state_dict"]
    assert equal(resumed, weights)
    assert [row for row in (run.path / "metrics.csv").read_text().splitlines() if "images_per" not in row] == rows
    code, _, err = command(train_main, "resume=latest", "trainer.max_steps=20", "steps_at_once=1")
    assert code == 1
    assert "the run took several steps at once" in err


@pytest.mark.parametrize(
    ("changes", "chunking"),
    [
        ({}, Chunking(10, 20, 100)),
        ({"max_steps": -1, "max_epochs": 3}, Chunking(10, 20, 21)),
        ({"max_epochs": 3}, Chunking(10, 20, 21)),
        ({"val_check_interval": None, "check_val_every_n_epoch": 2}, Chunking(10, None, 100)),
        ({"val_check_interval": 0.5, "check_val_every_n_epoch": 1}, None),
        ({"devices": 2}, None),
        ({"devices": "auto"}, None),
        ({"strategy": "ddp"}, None),
        ({"precision": "16-mixed"}, None),
        ({"gradient_clip_val": 1.0}, None),
        ({"accumulate_grad_batches": 2}, None),
        ({"overfit_batches": 2}, None),
        ({"limit_train_batches": 5}, None),
        ({"fast_dev_run": True}, None),
    ],
)
def test_steps_are_put_together_where_lightning_allows_it(changes, chunking):
    assert plan_chunks(TRAINER | changes, 10, batches=7) == chunking
    assert plan_chunks(TRAINER | changes, 1, batches=7) is None


def test_who_watches_each_step_sees_each_step(make_model, command):
    model = make_model("vae")
    assert watchers(model, [Throughput(), CodebookHealth()]) == []
    assert watchers(model, [LearningRateMonitor()]) == ["LearningRateMonitor"]
    model.on_after_backward = lambda: None
    assert watchers(model, []) == ["VAE"]

    monitor = "+callbacks.lr={_target_: pytorch_lightning.callbacks.LearningRateMonitor}"
    code, _, err = command(train_main, "model=vae", "prior=none", monitor, *QUICK, *SMALL["vae"])
    assert code == 0, err
    run = aevq.load("latest")
    assert "because of LearningRateMonitor" in (run.path / "train.log").read_text()
    logged = [row for row in (run.path / "metrics.csv").read_text().splitlines() if "lr-AdamW" in row]
    assert len(logged) == 4


def test_a_checkpoint_of_the_other_way_is_refused():
    def checkpoint(manual: int):
        progress = {"epoch_loop.manual_optimization.optim_step_progress": {"total": {"completed": manual}}}
        return {"global_step": 5, "loops": {"fit_loop": progress}}

    check_stepping(checkpoint(5), Chunking(10))
    check_stepping(checkpoint(0), None)
    with pytest.raises(UserError, match="took one step at once"):
        check_stepping(checkpoint(0), Chunking(10))
    with pytest.raises(UserError, match="took several steps at once"):
        check_stepping(checkpoint(5), None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ae", "vae", "vqvae"])
def test_compiled_terms_are_the_same_and_leave_no_trace_in_the_checkpoint(name, command):
    limits = ["trainer.max_steps=6", "trainer.val_check_interval=3", "data.batch_size=500", "steps_at_once=3"]
    limits += {"vae": ["model.kl_warmup_steps=4"], "vqvae": ["model.num_codes=16", "model.restart.every=2"]}.get(
        name, []
    )
    weights, rows, _ = trained(command, name, *limits)
    compiled_weights, compiled_rows, _ = trained(command, name, "compile=default", *limits)
    assert compiled_weights.keys() == weights.keys()
    assert "terms" not in vars(aevq.load("latest").model)
    # The same noise is drawn in another order, so a VAE is only about the same.
    tolerance = 0.05 if name == "vae" else 1e-3
    for row, compiled_row in zip(rows[1:], compiled_rows[1:], strict=True):
        assert row.split(",")[:2] == compiled_row.split(",")[:2]
        assert float(row.split(",")[2]) == pytest.approx(float(compiled_row.split(",")[2]), rel=tolerance, abs=0.5)
