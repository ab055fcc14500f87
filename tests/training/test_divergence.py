"""A loss that is no number ends the training at that step, and no checkpoint holds what came of it."""

import math

import pytest
import torch

import aevq
from aevq.models import VAE, VQVAE
from aevq.models.vae import VAETerms
from aevq.ops.finite import Diverged, Watch, expect_finite_weights
from aevq.priors import PixelCNN
from aevq.runs.run import read_checkpoint
from aevq.train import main
from helpers.small_runs import QUICK, SMALL

LOG_RARELY = "trainer.log_every_n_steps=50"


def test_the_first_bad_step_is_named_with_its_terms():
    watch = Watch(["objective", "kl"])
    watch.see(1, torch.tensor([1.0, 2.0]))
    with pytest.raises(Diverged, match=r"^training diverged at step 2: objective is nan, kl is inf$"):
        watch.see(2, torch.tensor([math.nan, math.inf]))


def test_on_an_accelerator_the_first_bad_step_is_named_later():
    class OnDevice(torch.Tensor):
        device = torch.device("cuda")

    watch = Watch(["objective"])
    for step, value in enumerate([1.0, math.nan, math.nan], 1):
        watch.see(step, torch.tensor([value]).as_subclass(OnDevice))
    with pytest.raises(Diverged, match="at step 2: objective is nan"):
        watch.settle()
    watch.settle()


def test_weights_that_are_not_finite_are_not_saved():
    expect_finite_weights({"w": torch.ones(3), "n": 3, "codes": torch.arange(3)}, 1)
    with pytest.raises(Diverged, match="step 7: the weight w is not finite"):
        expect_finite_weights({"w": torch.tensor([1.0, math.inf])}, 7)


def broken_terms(at, value):
    """The VAE's terms, of which the KL is `value` at one step."""
    whole = VAE.terms

    def terms(self, x):
        found = whole(self, x)
        if self.training and self.global_step == at - 1:
            return VAETerms(found.objective + value, found.distortion, found.kl + value)
        return found

    return terms


@pytest.mark.fault("a loss of NaN or Inf: stops at that step; step, term and last good checkpoint named; failed")
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_training_that_meets_it_stops_at_that_step(value, command, monkeypatch, saw):
    monkeypatch.setattr(VAE, "terms", broken_terms(4, value))
    code, _, err = command(main, "model=vae", *QUICK, *SMALL["vae"], LOG_RARELY)
    assert code == 1
    run = aevq.load("latest")
    good = run.checkpoints / "last.ckpt"
    line = (
        f"error: training diverged at step 4: objective is {value}, kl is {value}; the last good checkpoint is {good}"
    )
    assert f"{line}, of step 2" in err
    assert run.result.status == "failed"
    assert "training diverged at step 4" in run.result.error
    assert run.result.metrics == {}
    assert read_checkpoint(good)["global_step"] == 2
    saw(f"stopped at step 4: objective and kl {value}; good: step 2")

    monkeypatch.undo()
    monkeypatch.chdir(run.path.parent.parent)
    assert command(main, "resume=latest")[0] == 0
    assert aevq.load("latest").result.status == "finished"


@pytest.mark.fault("weights that become NaN just before a validation: the last good checkpoint is kept")
def test_a_validation_that_meets_it_keeps_the_last_good_checkpoint(command, monkeypatch, saw):
    step = VAE.on_train_batch_end

    def spoil(self, outputs, batch, batch_idx):
        step(self, outputs, batch, batch_idx)
        if self.global_step == 4:
            self.decoder[1].weight.data.fill_(math.nan)

    monkeypatch.setattr(VAE, "on_train_batch_end", spoil)
    code, _, err = command(main, "model=vae", *QUICK, *SMALL["vae"], LOG_RARELY)
    assert code == 1
    assert "error: training diverged by the validation at step 4: objective is nan" in err
    checkpoint = read_checkpoint(aevq.load("latest").checkpoints / "last.ckpt")
    assert checkpoint["global_step"] == 2
    assert all(t.isfinite().all() for t in checkpoint["state_dict"].values() if torch.is_tensor(t))
    saw("validation stopped it; last.ckpt is of step 2, all finite")


@pytest.mark.fault("NaN in the loss of the PixelCNN: stops at that step, names it and the last good checkpoint")
def test_a_prior_that_meets_it_stops_at_that_step(command, monkeypatch, saw):
    nats = PixelCNN._nats

    def broken(self, batch):
        return nats(self, batch) * (math.nan if self.training and self.global_step == 3 else 1)

    monkeypatch.setattr(PixelCNN, "_nats", broken)
    code, _, err = command(main, "model=vqvae", *QUICK, *SMALL["vqvae"], LOG_RARELY, "prior.pixelcnn.max_steps=6")
    assert code == 1
    assert "error: training diverged at step 4: prior/pixelcnn/train_nats is nan; the last good checkpoint is" in err
    assert "last.ckpt, of step 2" in err
    assert aevq.load("latest").result.status == "failed"
    saw("stopped at step 4 of the prior; good: step 2")


def test_a_learning_rate_that_is_far_too_high_is_told_so(command):
    code, _, err = command(main, "model=vae", *QUICK, *SMALL["vae"], "model.optimizer.lr=1e30")
    assert code == 1
    assert "error: training diverged" in err
    assert aevq.load("latest").result.status == "failed"


def test_a_quantiser_is_never_moved_by_a_step_that_was_not_finite(command, monkeypatch):
    whole = VQVAE.vectors
    monkeypatch.setattr(VQVAE, "vectors", lambda self, x: whole(self, x) * (math.nan if self.global_step == 3 else 1))
    code, _, err = command(main, "model=vqvae", *QUICK, *SMALL["vqvae"], LOG_RARELY, "model.codebook_init=normal")
    assert code == 1
    assert "training diverged at step 4" in err
