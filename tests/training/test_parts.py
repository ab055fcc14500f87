"""The parts of a run are built once from a configuration, and checked before anything is written."""

import pytest
import pytorch_lightning as pl

from aevq.config.command_line import compose
from aevq.errors import UserError
from aevq.models import AE
from aevq.priors import Mixture, StandardNormal
from aevq.training.loggers import MetricsCSV
from aevq.training.parts import build_parts, to_plain
from aevq.training.trainer import SET_BY_AEVQ, Trainers

SMALL = ("model=ae", "data=mnist5k", "trainer=cpu", "model.network.hidden=[8]")


def plain(*overrides):
    return to_plain(compose(*SMALL, *overrides))


def test_a_configuration_becomes_the_parts_of_a_run():
    parts = build_parts(plain("callbacks=early_stopping"))
    assert type(parts.model) is AE
    assert {name: type(prior) for name, prior in parts.priors.items()} == {
        "standard_normal": StandardNormal,
        "mixture": Mixture,
    }
    assert all(prior.spec == parts.model.latent_spec for prior in parts.priors.values())
    assert isinstance(parts.callbacks[-1], pl.callbacks.EarlyStopping)
    assert [type(logger) for logger in parts.trainers.loggers] == [MetricsCSV]
    assert parts.data.name == "mnist5k"


def test_the_seed_decides_the_initial_weights():
    first, second, other = (build_parts(plain(f"seed={seed}")).model.decoder[1].weight for seed in (1, 1, 2))
    assert first.equal(second)
    assert not first.equal(other)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+sed=1"], "sed: no such key; did you mean 'seed'?"),
        (["compile=fast"], "compile: should be .*got 'fast'"),
        (["model.network.hidden=[0]"], r"model.network.hidden.0: should be greater than 0"),
        (["+model.latent_dims=3"], "model.latent_dims: no such argument; did you mean 'latent_dim'?"),
        (
            ["model.likelihood=laplace"],
            "model.likelihood: .*got 'laplace'; to choose from a group write model/likelihood",
        ),
        (["+prior.mixture.spec=3"], "prior.mixture.spec: is set by aevq; remove it"),
        (
            ["prior.mixture.num_components=4001", "prior.mixture.max_fit=4001"],
            "prior.mixture: needs at least 4001 train",
        ),
        (["model/likelihood=bernoulli"], "model/likelihood: bernoulli is for binary images"),
        (["model.image_shape=[3,28,28]"], r"model: cannot take images of mnist5k, \[1, 28, 28\]"),
        (["callbacks.throughput._target_=aevq.nn.MLP"], "callbacks.throughput._target_: expected a Callback"),
        (
            ["experiment=priors", "prior=mixture100"],
            r"prior.flow: has options, but is not chosen; .* prior=\[mixture100,flow\]",
        ),
        (["logger.csv._target_=aevq.nn.MLP"], "logger.csv._target_: expected a RunLogger"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_value_is_one_line_that_names_its_key(overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        build_parts(plain(*overrides))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_steps": -1}, "trainer.max_steps: expected a limit, here or in trainer.max_epochs"),
        ({"max_epochs": -3}, "trainer.max_epochs: should be greater than 0 or should be -1, got -3"),
        ({"max_step": 3}, "trainer.max_step: no such argument; did you mean 'max_steps'"),
        ({"precision": "64"}, "trainer.precision: should be '32-true', 'bf16-mixed' or '16-mixed', got '64'"),
        ({"log_every_n_steps": True}, "trainer.log_every_n_steps: should be a valid integer, got True"),
        ({"_target_": "os.system"}, "trainer._target_: expected pytorch_lightning.Trainer"),
        *(({name: None}, f"trainer.{name}: is set by aevq; remove it") for name in SET_BY_AEVQ),
    ],
    ids=str,
)
def test_a_wrong_argument_of_the_trainer_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        Trainers(plain()["trainer"] | changes)


def test_what_lightning_refuses_is_one_line():
    trainers = Trainers(plain()["trainer"] | {"profiler": "simple", "fast_dev_run": True, "overfit_batches": 0.5})
    trainers.arguments["barebones"] = True
    with pytest.raises(UserError, match=r"^trainer: .*barebones"):
        trainers.make("title", [])
