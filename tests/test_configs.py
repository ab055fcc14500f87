"""Every yaml composes, and what it names can be built: a new one is tested without touching a test."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf

from aevq.config.command_line import config_root
from aevq.config.instantiate import build
from aevq.data import MNISTDataModule
from aevq.errors import UserError
from aevq.latents import CodeSpec, LatentSet, VectorSpec
from aevq.models import LatentModel
from aevq.priors import build_prior
from aevq.training import compatibility as validation
from aevq.training.compatibility import check_parts
from aevq.training.fitting import check_trainer, to_plain

ROOT = config_root()


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / group).glob("*.yaml") if not path.stem.startswith("_"))


def composed(*overrides: str):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        return compose("train", overrides=list(overrides))


def test_the_groups_are_those_of_the_design():
    groups = {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert groups == {"model", "data", "prior", "trainer", "logger", "callbacks", "experiment", "debug", "hydra"}


@pytest.mark.parametrize("name", names("model"))
def test_a_model_is_built_and_meets_its_priors(name):
    plain = to_plain(composed(f"model={name}"))
    model = build(plain["model"])
    assert isinstance(model, LatentModel)
    assert plain["prior"]
    for config in plain["prior"].values():
        assert build_prior(config, model.latent_spec).spec == model.latent_spec


PARTS = [
    (model, f"model/{part}={name}")
    for model in ("ae", "vae", "vqvae")
    for part in ("network", "likelihood", "optimizer", "schedule", "codebook_update")
    for name in names(f"model/{part}")
    if part != "codebook_update" or model == "vqvae"
]


def take_steps(model, batches, total):
    """Optimizer steps of a training of `total` steps, as Lightning takes them."""
    optimizer = model._make_optimizer([p for p in model.parameters() if p.requires_grad])
    schedule = model._make_schedule(optimizer, total)
    for x in batches:
        loss = model.terms(x).objective.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.after_optimizer_step()
        schedule.step()


@pytest.mark.parametrize(("model", "choice"), PARTS)
def test_every_part_trains_every_model_for_two_steps(model, choice, digits):
    model = build(to_plain(composed(f"model={model}", choice))["model"])
    parameters = [p for p in model.parameters() if p.requires_grad]
    before, x = [p.detach().clone() for p in parameters], digits[::100].round()
    take_steps(model, [x, x], total=10)
    assert torch.isfinite(model.terms(x).objective).all()
    assert all(not p.equal(old) for p, old in zip(parameters, before, strict=True) if p.grad.abs().sum() > 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("name", "colours"), [("vqvae", 1), ("vqvae_stacked", 3)])
def test_a_short_training_of_a_vqvae_soon_does_better_than_black_images(name, colours, seed, digits):
    # With outputs that began at 0.5 some trainings of three epochs went black in the first 100 steps, for good.
    torch.manual_seed(seed)
    overrides = f"model={name}", "model.network.channels=[16,32]", f"data.image_shape=[{colours},28,28]"
    model = build(to_plain(composed(*overrides))["model"]).train()
    batches = [digits[torch.randint(len(digits), (128,))].expand(-1, colours, -1, -1) for _ in range(60)]
    take_steps(model, batches, total=430)
    x = batches[-1]
    assert (model.reconstruct(x) - x).square().mean() < 0.5 * x.square().mean()


@pytest.mark.parametrize("name", names("data"))
def test_a_data_set_checks_its_arguments_and_reads_nothing(name):
    assert isinstance(build(to_plain(composed(f"data={name}"))["data"]), MNISTDataModule)


@pytest.mark.parametrize("model", names("model"))
def test_every_model_is_built_for_the_images_of_the_data_set(model):
    plain = to_plain(composed("data=stacked_mnist", f"model={model}", "data.binarize=threshold"))
    data, parts = build(plain["data"]), build(plain["model"])
    assert plain["model"]["image_shape"] == list(data.image_shape) == [3, 28, 28]
    check_parts(plain, parts, [build_prior(prior, parts.latent_spec) for prior in plain["prior"].values()], data)


def test_a_class_conditional_prior_is_of_the_datas_classes():
    plain = to_plain(composed("data=stacked_mnist", "model=vqvae", "prior.pixelcnn.conditional=true"))
    model, data = build(plain["model"]), build(plain["data"])
    prior = plain["prior"]["pixelcnn"]
    check_parts(plain, model, [build_prior(prior, model.latent_spec)], data)
    with pytest.raises(UserError, match=r"prior\.pixelcnn\.num_classes: expected 1000, the classes of stacked_mnist"):
        check_parts(plain, model, [build_prior(prior | {"num_classes": 10}, model.latent_spec)], data)


@pytest.mark.parametrize("name", names("prior"))
def test_a_prior_is_for_vectors_or_for_codes_and_fits_its_kind(name):
    for config in to_plain(composed("model=ae", f"prior={name}"))["prior"].values():
        fitted = 0
        for spec, latents in (
            (VectorSpec(4), torch.randn(120, 4)),
            (CodeSpec(9, 7, 7), torch.randint(0, 9, (120, 7, 7))),
        ):
            try:
                prior = build_prior(config | ({"max_steps": 2} if name == "pixelcnn" else {}), spec)
            except UserError:
                continue
            labels = torch.arange(120) % 10
            prior.fit(LatentSet(latents, labels, latents[:20], labels[:20]))
            assert prior.sample(3).shape == (3, *spec.shape)
            fitted += 1
        assert fitted == 1


@pytest.mark.parametrize("name", names("trainer"))
def test_a_trainer_is_one_that_lightning_takes(name):
    config = to_plain(composed(f"trainer={name}"))["trainer"]
    if config["accelerator"] == "gpu" and not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"trainer: .*(accelerator|backend)"):
            check_trainer(config)
    else:
        check_trainer(config)


@pytest.mark.parametrize("name", names("hydra/launcher"))
@pytest.mark.parametrize("trainer", [[], ["trainer=ddp_sim", "trainer.num_nodes=3"]], ids=["one process", "several"])
def test_a_launcher_asks_for_what_the_trainer_uses(name, trainer):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        config = compose("train", [f"hydra/launcher={name}", *trainer], return_hydra_config=True)
    launcher, of_one = config.hydra.launcher, name == "slurm_gpu"
    assert launcher.nodes == config.trainer.num_nodes
    assert launcher.tasks_per_node == launcher.gpus_per_node == (1 if of_one else config.trainer.devices)
    assert launcher.signal_delay_s > 0
    assert launcher.max_num_timeout > 0


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


def swept(name: str) -> list[str]:
    """Every value of every key that an experiment sweeps; of an interval both ends."""
    params = OmegaConf.load(ROOT / "experiment" / f"{name}.yaml").get("hydra", {}).get("sweeper", {}).get("params", {})
    overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    values = [
        (override.key_or_group, value)
        for override in overrides
        for value in (
            (override.value().start, override.value().end)
            if override.is_interval_sweep()
            else override.sweep_string_iterator()
        )
    ]
    return [f"{key}={value}" for key, value in values]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in names("experiment") for value in swept(name)])
def test_every_value_that_an_experiment_sweeps_is_one(name, value):
    plain = to_plain(composed(f"experiment={name}", value))
    model = build(plain["model"])
    priors = [build_prior(config, model.latent_spec) for config in plain["prior"].values()]
    check_parts(plain, model, priors, build(plain["data"]))


@pytest.mark.parametrize("name", names("debug"))
def test_a_debug_setting_shows_tracebacks(name):
    assert composed(f"debug={name}").show_traceback


@pytest.mark.parametrize(
    "path", sorted((ROOT.parent / "experiments" / "wandb_sweep").glob("*.yaml")), ids=lambda p: p.stem
)
def test_a_wandb_sweep_names_keys_and_values_that_there_are(path):
    sweep = yaml.safe_load(path.read_text())
    fixed = [argument for argument in sweep["command"] if "=" in argument]
    first = {
        name: values["values"][0] if "values" in values else values["min"]
        for name, values in sweep["parameters"].items()
    }
    config = composed(*fixed, *(f"{name}={value}" for name, value in first.items()))
    assert sweep["program"] == "aevq.train"
    assert isinstance(build(to_plain(config)["model"]), LatentModel)


def test_the_schema_knows_the_keys_of_the_configuration_and_takes_its_defaults():
    plain = to_plain(composed())
    validation.check_config(plain)
    known = {*validation.VALUES, *validation.PARTS, *validation.FAMILIES, "trainer", "paths"}
    assert known == set(plain)
