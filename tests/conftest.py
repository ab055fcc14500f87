"""Real images, and models small enough to test with."""

from __future__ import annotations

import sys
from functools import partial

import pytest
import torch

from aevq.data.embedded import embedded_digits
from aevq.models import AE, VAE, VQVAE
from aevq.nn import MLP, Conv, DeadCodeRestart, EMAUpdate, Gaussian

SHAPE = (1, 28, 28)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """The networks here are tiny: a second thread costs more than it does."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def digits() -> torch.Tensor:
    """1,000 of the embedded MNIST images, a hundred of each digit, float32 (1000, 1, 28, 28) in [0, 1]."""
    images, _ = embedded_digits()
    return images[::5].reshape(-1, *SHAPE).float() / 255


def small_model(name: str):
    """An untrained model of a few thousand parameters."""
    parts = {
        "likelihood": Gaussian(0.2),
        "optimizer": partial(torch.optim.AdamW, lr=1e-3),
    }
    mlp = MLP([64], "silu")
    if name == "ae":
        return AE(SHAPE, 4, mlp, **parts)
    if name == "vae":
        return VAE(SHAPE, 4, mlp, beta=1.0, kl_warmup_steps=0, free_bits=0.0, **parts)
    conv = Conv([4, 8], 0, "silu")
    restart = DeadCodeRestart(0.1, 5)
    return VQVAE(SHAPE, (7, 7), 16, 4, 0.25, conv, EMAUpdate(0.9), restart, "normal", **parts)


@pytest.fixture
def make_model():
    return small_model


@pytest.fixture(params=["ae", "vae", "vqvae"])
def model(request):
    return small_model(request.param)


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Runs a command of the package in an empty folder; gives exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(main, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["aevq", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run
