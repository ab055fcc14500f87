"""A loss that is not finite ends the training at that step, and no checkpoint holds its consequences."""

import math

import pytest
import torch

import aevq
from aevq.files import load_plain
from aevq.models import VAE, VQVAE
from aevq.models.vae import VAETerms
from aevq.ops.finite import Diverged, FiniteCheck, check_finite_weights
from aevq.priors import PixelCNN
from aevq.train import main
from helpers.small_runs import SMALL_VAE, SMALL_VQVAE

LOG_RARELY = "trainer.log_every_n_steps=50"
TERMS = ("objective", "kl")


def test_the_first_bad_step_is_named_with_its_terms():
    check = FiniteCheck()
    check.add(1, TERMS, torch.tensor([1.0, 2.0]))
    with pytest.raises(Diverged, match=r"^training diverged at step 2: objective is nan, kl is inf$"):
        check.add(2, TERMS, torch.tensor([math.nan, math.inf]))


def test_on_an_accelerator_the_first_bad_step_is_named_later():
    class OnDevice(torch.Tensor):
        device = torch.device("cuda")

    check = FiniteCheck()
    for step, value in enumerate([1.0, math.nan, math.nan], 1):
        check.add(step, TERMS[:1], torch.tensor([value]).as_subclass(OnDevice))
    with pytest.raises(Diverged, match="at step 2: objective is nan"):
        check.flush()
    check.flush()


@pytest.mark.fault("a buffer that is infinite, as a causal mask is: it is no divergence")
def test_weights_that_are_not_finite_are_not_saved_and_a_mask_may_be_infinite():
    module = torch.nn.Linear(2, 1)
    module.register_buffer("mask", torch.full((2, 2), -math.inf).triu(1))
    check_finite_weights(module, 1)
    module.weight.data[0, 1] = math.inf
    with pytest.raises(Diverged, match="step 7: the weight weight is not finite"):
        check_finite_weights(module, 7)


def broken_terms(at, value):
    """Return a `loss_terms` of which the KL is `value` at one step."""
    original = VAE.loss_terms

    def loss_terms(self, x):
        terms = original(self, x)
        if self.training and self.global_step == at - 1:
            return VAETerms(terms.objective + value, terms.distortion, terms.kl + value)
        return terms

    return loss_terms


@pytest.mark.fault(
    "a loss of NaN or Inf: stops at that step, names step, term and last good checkpoint, and has failed"
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_training_stops_at_the_step_of_a_bad_loss(value, command, monkeypatch, observed):
    monkeypatch.setattr(VAE, "loss_terms", broken_terms(4, value))
    code, _, err = command(main, *SMALL_VAE, LOG_RARELY)
    assert code == 1
    run = aevq.load("latest")
    good, line = run.checkpoints / "last.ckpt", f"training diverged at step 4: objective is {value}, kl is {value}"
    assert f"error: {line}; the last good checkpoint is {good}, of step 2" in err
    assert (run.result.status, run.result.metrics) == ("failed", {})
    assert line in run.result.error
    assert load_plain(good)["global_step"] == 2
    observed(f"stopped at step 4: objective and kl {value}; good: step 2")

    monkeypatch.undo()
    monkeypatch.chdir(run.path.parent.parent)
    assert command(main, "resume=latest")[0] == 0
    assert aevq.load("latest").result.status == "finished"


@pytest.mark.fault("weights that become NaN just before a validation: the last good checkpoint is kept")
def test_a_bad_validation_keeps_the_last_good_checkpoint(command, monkeypatch, observed):
    step = VAE.on_train_batch_end

    def spoil(self, outputs, batch, batch_idx):
        step(self, outputs, batch, batch_idx)
        if self.global_step == 4:
            self.decoder[1].weight.data.fill_(math.nan)

    monkeypatch.setattr(VAE, "on_train_batch_end", spoil)
    code, _, err = command(main, *SMALL_VAE, LOG_RARELY)
    assert code == 1
    assert "error: training diverged by the validation at step 4: objective is nan" in err
    checkpoint = load_plain(aevq.load("latest").checkpoints / "last.ckpt")
    assert checkpoint["global_step"] == 2
    assert all(t.isfinite().all() for t in checkpoint["state_dict"].values() if torch.is_tensor(t))
    observed("validation stopped it; last.ckpt is of step 2, all finite")


@pytest.mark.fault("NaN in the loss of the PixelCNN: stops at that step, names it and the last good checkpoint")
def test_a_prior_stops_at_the_step_of_a_bad_loss(command, monkeypatch, observed):
    losses = PixelCNN._losses

    def broken(self, batch):
        return losses(self, batch) * (math.nan if self.training and self.global_step == 3 else 1)

    monkeypatch.setattr(PixelCNN, "_losses", broken)
    code, _, err = command(main, *SMALL_VQVAE, LOG_RARELY, "prior.pixelcnn.max_steps=6")
    assert code == 1
    assert "error: training diverged at step 4: prior/pixelcnn/train_nats is nan; the last good checkpoint is" in err
    assert "last.ckpt, of step 2" in err
    assert aevq.load("latest").result.status == "failed"
    observed("stopped at step 4 of the prior; good: step 2")


def test_a_learning_rate_that_is_far_too_high_is_reported(command):
    code, _, err = command(main, *SMALL_VAE, "model.optimizer.lr=1e30")
    assert code == 1
    assert "error: training diverged" in err
    assert aevq.load("latest").result.status == "failed"


def test_a_quantizer_is_not_moved_by_a_step_that_is_not_finite(command, monkeypatch):
    whole = VQVAE.vectors
    monkeypatch.setattr(VQVAE, "vectors", lambda self, x: whole(self, x) * (math.nan if self.global_step == 3 else 1))
    code, _, err = command(main, *SMALL_VQVAE, LOG_RARELY, "model.codebook_init=normal")
    assert code == 1
    assert "training diverged at step 4" in err
