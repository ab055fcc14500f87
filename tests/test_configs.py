"""Every yaml composes, and what it names can be built: a new one is tested without touching a test."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from aevq.build import build
from aevq.cli import config_root
from aevq.data import MNISTDataModule
from aevq.errors import UserError
from aevq.fitting import check_trainer, to_plain
from aevq.models import LatentModel
from aevq.priors import build_prior

ROOT = config_root()


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / group).glob("*.yaml") if not path.stem.startswith("_"))


def composed(*overrides: str):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        return compose("train", overrides=list(overrides))


def test_the_groups_are_those_of_the_design():
    groups = {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert groups == {"model", "data", "prior", "trainer", "logger", "callbacks", "experiment", "debug"}


@pytest.mark.parametrize("name", names("model"))
def test_a_model_is_built_and_meets_its_priors(name):
    plain = to_plain(composed(f"model={name}"))
    model = build(plain["model"])
    assert isinstance(model, LatentModel)
    assert plain["prior"]
    for config in plain["prior"].values():
        assert build_prior(config, model.latent_spec).spec == model.latent_spec


@pytest.mark.parametrize("part", ["network", "likelihood", "optimizer", "schedule", "codebook_update"])
def test_each_part_fits_some_model(part):
    for name in names(f"model/{part}"):
        built = []
        for model in ("ae", "vae", "vqvae"):
            if part == "codebook_update" and model != "vqvae":
                continue
            built.append(build(to_plain(composed(f"model={model}", f"model/{part}={name}"))["model"]))
        assert built


@pytest.mark.parametrize("name", names("data"))
def test_a_data_set_checks_its_arguments_and_reads_nothing(name):
    assert isinstance(build(to_plain(composed(f"data={name}"))["data"]), MNISTDataModule)


@pytest.mark.parametrize("name", names("prior"))
def test_a_prior_is_for_vectors_or_for_codes(name):
    plain = to_plain(composed("model=ae", f"prior={name}"))
    specs = [build(to_plain(composed(f"model={model}"))["model"]).latent_spec for model in ("ae", "vqvae")]
    for config in plain["prior"].values():
        refused = 0
        for spec in specs:
            try:
                build_prior(config, spec)
            except UserError:
                refused += 1
        assert refused == 1


@pytest.mark.parametrize("name", names("trainer"))
def test_a_trainer_is_one_that_lightning_takes(name):
    config = to_plain(composed(f"trainer={name}"))["trainer"]
    if config["accelerator"] == "gpu" and not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"trainer: .*(accelerator|backend)"):
            check_trainer(config)
    else:
        check_trainer(config)


@pytest.mark.parametrize("name", names("callbacks"))
def test_callbacks_are_lightnings(name):
    for callback in composed(f"callbacks={name}").callbacks.values():
        assert isinstance(instantiate(callback), pl.Callback)


@pytest.mark.parametrize("name", names("experiment"))
def test_an_experiment_says_question_command_and_expected_result(name):
    text = (ROOT / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    for word in ("# Question:", "# Command:", "# Expected:", f"experiment={name}"):
        assert word in text
    build(to_plain(composed(f"experiment={name}"))["model"])


@pytest.mark.parametrize("name", names("debug"))
def test_a_debug_setting_shows_tracebacks(name):
    assert composed(f"debug={name}").show_traceback
