"""Real images, small models, and commands in an empty folder."""

import os
import sys

import pytest
import torch
from threadpoolctl import threadpool_limits

from aevq.data import embedded_digits
from helpers.fault_counts import FaultCounts
from helpers.small_models import SHAPE, small_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Use one thread, in child processes too: the networks are so small that a second one makes them slower."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    with threadpool_limits(1):  # of NumPy, which is imported already
        yield


@pytest.fixture(autouse=True)
def _environment():
    """What a command sets in the environment ends with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def digits() -> torch.Tensor:
    """1,000 of the embedded MNIST images, a hundred of each digit, float32 (1000, 1, 28, 28) in [0, 1]."""
    images, _ = embedded_digits()
    return images[::5].reshape(-1, *SHAPE).float() / 255


@pytest.fixture
def make_model():
    return small_model


@pytest.fixture(params=["ae", "vae", "vqvae"])
def model(request):
    return small_model(request.param)


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Runs a command of the package in an empty folder; returns its exit code, stdout and stderr."""
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


@pytest.fixture
def observed(record_property):
    """Records what was observed of a fault, for the table of `make faults`."""
    return lambda text: record_property("observed", text)


def pytest_addoption(parser):
    parser.addoption("--count-faults", action="store_true", help="count faults, bad inputs and hostile files")


def pytest_configure(config):
    if config.getoption("--count-faults"):
        config.pluginmanager.register(FaultCounts())
