"""What follows the training of a model: on which device it runs."""

from pkgutil import resolve_name

import pytest
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy

import aevq
from aevq.models import VAE
from aevq.priors import FittedNormal
from aevq.train import main
from aevq.training.fit import _Elapsed
from helpers.small_runs import SMALL_VAE, SMALL_VQVAE

CPU = torch.device("cpu")  # to which Lightning moves a model at the end of its training
TRAINED_ON = torch.device("cpu", 0)  # the same, and not equal to it


@pytest.fixture
def devices(monkeypatch):
    """The device of the model in each stage after the training."""
    found = {}

    def watch(stage):
        work = resolve_name(stage)

        def watched(what, *arguments):
            found[stage] = getattr(what, "model", what).device
            return work(what, *arguments)

        monkeypatch.setattr(stage, watched)

    for stage in ("aevq.metrics.generate.encode_splits", "aevq.metrics.protocol.run_protocol"):
        watch(stage)
    watch("aevq.report.plots.draw_run")
    return found


@pytest.fixture
def moves(monkeypatch):
    """Where a model and a prior are moved to, in order."""
    found = {VAE: [], FittedNormal: []}
    for part, calls in found.items():
        monkeypatch.setattr(part, "to", lambda self, to, calls=calls, move=part.to: calls.append(to) or move(self, to))
        monkeypatch.setattr(part, "cpu", lambda self, calls=calls, move=part.cpu: calls.append(CPU) or move(self))
    return found


@pytest.mark.fault("after the training everything runs on the device that trained; its memory is given back at the end")
def test_what_follows_a_training_runs_where_it_trained(command, monkeypatch, devices, moves):
    monkeypatch.setattr(SingleDeviceStrategy, "root_device", TRAINED_ON)
    code, out, err = command(main, *SMALL_VAE, "prior=fitted_normal", "evaluation.split=val")
    assert code == 0, err
    assert list(devices.values()) == [TRAINED_ON] * 3
    assert moves[VAE][-3:] == [CPU, TRAINED_ON, CPU]
    assert moves[FittedNormal] == [TRAINED_ON, CPU]
    assert "on 500 val images" in out


@pytest.mark.parametrize("model", ["vae", "vqvae"])
def test_a_run_states_what_its_priors_were_fitted_to_their_size_and_the_seconds(model, command, caplog):
    prior = "mixture" if model == "vae" else "pixelcnn"
    options = ["prior=mixture", "prior.mixture.num_components=2", "prior.mixture.fit_to=draw"]
    overrides = [*SMALL_VAE, *options] if model == "vae" else SMALL_VQVAE
    caplog.set_level("INFO", logger="aevq")
    code, _, err = command(main, *overrides)
    assert code == 0, err
    run = aevq.load("latest")
    stated, fitted = run.result.priors[prior], run.prior(prior)
    assert stated["fit_to"] == fitted.fit_to == ("draw" if model == "vae" else "mean")
    assert stated["parameters"] == fitted.num_parameters
    assert stated["seconds"] == pytest.approx(fitted.fit_seconds, abs=1e-3)
    assert 0 < fitted.fit_seconds < 60
    assert f"{prior}: {fitted.num_parameters:,} parameters, fitted in {fitted.fit_seconds:.1f} s" in caplog.text
    assert f"prior/{prior}/nats" in run.result.metrics


def test_the_seconds_of_an_interrupted_fit_count(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("aevq.training.fit.time.perf_counter", lambda: now[0])
    first = _Elapsed()
    now[0] += 7
    saved = first.state_dict()
    resumed = _Elapsed()
    resumed.load_state_dict(saved)
    now[0] += 2
    assert resumed.seconds == 9
