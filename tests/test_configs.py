"""Every yaml composes, and what it names is built: a new yaml is tested without a change here."""

import inspect
import re
from functools import cache
from pkgutil import resolve_name
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from aevq.config.checks import to_config
from aevq.config.command_line import compose, config_root
from aevq.config.instantiate import EVERYTHING, instantiate
from aevq.data import ImageDataModule
from aevq.errors import UserError
from aevq.latents import CodeSpec, LatentSet, VectorSpec
from aevq.models import LatentModel
from aevq.priors import Prior
from aevq.training.parts import RunConfig, build_parts, to_plain
from aevq.training.trainer import Trainers

ROOT = config_root()
MODEL_PARTS = sorted(path.name for path in (ROOT / "model").iterdir() if path.is_dir())
FAMILIES = ("prior", "callbacks", "logger")  # groups of several named parts
VECTORS, CODES = VectorSpec(4), CodeSpec(9, 7, 7)


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / group).glob("*.yaml") if not path.stem.startswith("_"))


@cache
def plain(*overrides: str) -> dict[str, Any]:
    return to_plain(compose(*overrides))


def build_model(*overrides: str) -> LatentModel:
    return instantiate(plain(*overrides)["model"], "model", LatentModel)


def spec_of(node: dict[str, Any]) -> VectorSpec | CodeSpec:
    """Return latents of the kind that a prior is for."""
    return VECTORS if resolve_name(node["_target_"]).kind is VectorSpec else CODES


def nodes() -> dict[str, dict[str, Any]]:
    """Return every part in `conf` but data and trainers, by its yaml or, in a family, by its name."""
    found = {f"model/{name}": plain(f"model={name}")["model"] for name in names("model")}
    for part in MODEL_PARTS:
        for name in names(f"model/{part}"):
            found[f"model/{part}/{name}"] = plain("model=vqvae", f"model/{part}={name}")["model"][part]
    for family in FAMILIES:
        for name in names(family):
            found |= {f"{family}/{key}": node for key, node in plain(f"{family}={name}")[family].items()}
    return found | {"plots": plain()["plots"]}


def test_the_groups_are_those_of_the_design():
    groups = {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert groups == {"model", "data", "prior", "trainer", "logger", "callbacks", "experiment", "debug", "hydra"}
    assert set(RunConfig.model_fields) == set(plain())


# Objects and their configurations


def test_every_part_is_built_and_gives_its_configuration_back():
    for path, node in nodes().items():
        if node.get("_partial_") or not node["_target_"].startswith("aevq."):
            continue
        arguments = {"spec": spec_of(node)} if path.startswith("prior/") else {}
        part = instantiate(node, "part", trust=EVERYTHING, **arguments)
        config = to_config(part)
        again = instantiate(config, "part", trust=EVERYTHING)
        assert type(again) is type(part) is resolve_name(node["_target_"]), path
        assert to_config(again) == config, path


def main_nodes() -> dict[type, dict[str, Any]]:
    """Return for each class of aevq the node whose values are those of its constructor.

    Of several yaml files for one class it is the one that is named like the class.
    """
    of_class: dict[type, list[str]] = {}
    every = nodes()
    for path, node in every.items():
        if node["_target_"].startswith("aevq."):
            of_class.setdefault(resolve_name(node["_target_"]), []).append(path)
    for cls, paths in of_class.items():
        of_class[cls] = [path for path in paths if len(paths) == 1 or path.split("/")[-1] == cls.__name__.lower()]
        assert len(of_class[cls]) == 1, f"{cls.__name__}: {paths}"
    return {cls: every[path] for cls, (path,) in of_class.items()}


def default_of(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        if "__init__" in vars(base) and name in (parameters := inspect.signature(base).parameters):
            return parameters[name].default
    raise AssertionError(f"{cls.__name__} has no argument {name}")


def test_every_class_is_built_without_arguments_and_its_defaults_are_the_values_of_its_yaml():
    differing = []
    for cls, node in main_nodes().items():
        assert cls(spec_of(node)) if issubclass(cls, Prior) else cls()
        for name, value in node.items():
            default = default_of(cls, name) if not name.startswith("_") else value
            default = list(default) if isinstance(default, tuple) else default
            if default != value and not (isinstance(value, dict) and "_target_" in value):
                differing.append(f"{cls.__name__}.{name}: {value} in the yaml, {default} in Python")
    assert differing == []


@pytest.mark.parametrize("name", ["ae", "vae", "vqvae"])
def test_a_model_without_arguments_is_that_of_its_yaml(name, digits):
    node = plain(f"model={name}")["model"]
    models, losses = [], []
    for make in (lambda: instantiate(node, "model", LatentModel), resolve_name(node["_target_"])):
        torch.manual_seed(0)
        models.append(make())
        losses.append(models[-1].loss_terms(digits[:20]).objective)
    (from_yaml, from_python), (loss, expected) = models, losses
    assert loss.equal(expected)
    weights = from_python.state_dict()
    assert all(v.equal(weights[k]) for k, v in from_yaml.state_dict().items() if torch.is_tensor(v))
    assert to_config(from_yaml._make_optimizer) == to_config(from_python._make_optimizer)
    schedules = [model._make_schedule for model in models]
    assert (schedules[0].warmup, schedules[0].final) == (schedules[1].warmup, schedules[1].final)
    if name == "vqvae":
        assert from_yaml.codebook_init == from_python.codebook_init
        assert from_yaml.quantizer.restart == from_python.quantizer.restart
        assert from_yaml.quantizer.update.decay == from_python.quantizer.update.decay


# Models and their parts


@pytest.mark.parametrize("name", names("model"))
@pytest.mark.parametrize("data", ["mnist", "stacked_mnist"])
def test_a_model_takes_the_images_of_a_data_set_and_has_a_prior(data, name):
    config = plain(f"data={data}", f"model={name}", "data.binarize=threshold")
    parts = build_parts(config)
    assert config["model"]["image_shape"] == list(parts.data.image_shape)
    assert parts.priors
    assert all(prior.spec == parts.model.latent_spec for prior in parts.priors.values())


def take_steps(model, batches, total):
    """Take optimizer steps of a training of `total` steps, as Lightning does."""
    optimizer = model._make_optimizer([p for p in model.parameters() if p.requires_grad])
    schedule = model._make_schedule(optimizer, total)
    for x in batches:
        loss = model.loss_terms(x).objective.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.after_optimizer_step()
        schedule.step()


MODELS_OF_A_PART = {"codebook_update": ["vqvae"], "optimizer": ["vae"], "schedule": ["vae"]}
CHOICES = [
    (model, f"model/{part}={name}")
    for part in MODEL_PARTS
    for name in names(f"model/{part}")
    for model in MODELS_OF_A_PART.get(part, ["ae", "vae", "vqvae"])
]


@pytest.mark.parametrize(("model", "choice"), CHOICES)
def test_every_part_trains_its_models_for_two_steps(model, choice, digits):
    model = build_model(f"model={model}", choice)
    parameters = [p for p in model.parameters() if p.requires_grad]
    before, x = [p.detach().clone() for p in parameters], digits[::100].round()
    take_steps(model, [x, x], total=10)
    assert torch.isfinite(model.loss_terms(x).objective).all()
    assert all(not p.equal(old) for p, old in zip(parameters, before, strict=True) if p.grad.abs().sum() > 0)


@pytest.mark.parametrize(("seed", "colours"), [(1, 1), (2, 1), (3, 3)])
def test_a_short_training_of_a_vqvae_is_better_than_black_images(seed, colours, digits):
    # When outputs started at 0.5, some trainings of three epochs turned black in the first 100 steps and stayed so.
    torch.manual_seed(seed)
    overrides = "model.network.channels=[16,32]", f"model.image_shape=[{colours},28,28]"
    model = build_model("model=vqvae", *overrides).train()
    batches = [digits[torch.randint(len(digits), (128,))].expand(-1, colours, -1, -1) for _ in range(60)]
    take_steps(model, batches, total=430)
    x = batches[-1]
    assert (model.reconstruct(x) - x).square().mean() < 0.5 * x.square().mean()


# Data, priors, trainers, callbacks


@pytest.mark.parametrize("name", names("data"))
def test_a_data_set_is_built_without_reading_it(name):
    data = instantiate(plain(f"data={name}")["data"], "data", ImageDataModule)
    assert data.train_size > 0
    assert "splits" not in vars(data)


def test_a_class_conditional_prior_has_the_classes_of_the_data_set():
    overrides = "data=stacked_mnist", "model=vqvae", "prior.transformer.conditional=true"
    assert build_parts(plain(*overrides)).priors["transformer"].num_classes == 1000
    with pytest.raises(
        UserError, match=r"prior\.transformer\.num_classes: expected 1000, the classes of stacked_mnist"
    ):
        build_parts(plain(*overrides, "prior.transformer.num_classes=10"))


@pytest.mark.parametrize("name", names("prior"))
def test_a_prior_fits_and_draws_latents_of_its_kind_and_refuses_the_other(name):
    for key, node in plain("model=ae", f"prior={name}", "prior_max_steps=2")["prior"].items():
        spec = spec_of(node)
        latents = torch.randn(120, 4) if spec == VECTORS else torch.randint(0, 9, (120, 7, 7))
        prior = instantiate(node, f"prior.{key}", Prior, spec=spec)
        labels = torch.arange(120) % 10
        prior.fit(LatentSet(latents, labels, latents[:20], labels[:20]))
        assert prior.sample(3).shape == (3, *spec.shape)
        with pytest.raises(UserError, match=rf"prior\.{key}: .* is a prior for"):
            instantiate(node, f"prior.{key}", Prior, spec=CODES if spec == VECTORS else VECTORS)


@pytest.mark.parametrize("name", names("trainer"))
def test_lightning_accepts_a_trainer(name):
    config = plain(f"trainer={name}")["trainer"]
    if config["accelerator"] == "gpu" and not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"trainer: .*(accelerator|backend)"):
            Trainers(config).make("", [])
    else:
        assert isinstance(Trainers(config).make("", []), pl.Trainer)


@pytest.mark.parametrize("name", names("hydra/launcher"))
@pytest.mark.parametrize("trainer", [[], ["trainer=ddp_sim", "trainer.num_nodes=3"]], ids=["one process", "several"])
def test_a_launcher_asks_for_what_the_trainer_uses(name, trainer):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        config = hydra_compose("train", [f"hydra/launcher={name}", *trainer], return_hydra_config=True)
    launcher, of_one = config.hydra.launcher, name == "slurm_gpu"
    assert launcher.nodes == config.trainer.num_nodes
    assert launcher.tasks_per_node == launcher.gpus_per_node == (1 if of_one else config.trainer.devices)
    assert launcher.signal_delay_s > 0
    assert launcher.max_num_timeout > 0


@pytest.mark.parametrize("name", names("callbacks"))
def test_callbacks_are_those_of_lightning(name):
    for key, node in plain(f"callbacks={name}")["callbacks"].items():
        assert instantiate(node, f"callbacks.{key}", pl.Callback)


# Experiments


@pytest.mark.parametrize("name", names("experiment"))
def test_an_experiment_says_question_command_and_expected_result(name):
    text = (ROOT / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    assert all(word in text for word in ("# Question:", "# Command:", "# Expected:"))
    assert re.search(rf"experiment=(\w+,)*{name}\b", text)
    build_parts(plain(f"experiment={name}"))


def swept(name: str) -> list[str]:
    """Return every value of every key that an experiment sweeps; of an interval both ends."""
    params = OmegaConf.load(ROOT / "experiment" / f"{name}.yaml").get("hydra", {}).get("sweeper", {}).get("params", {})
    overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    found = []
    for override in overrides:
        value, key = override.value(), override.key_or_group
        values = (value.start, value.end) if override.is_interval_sweep() else override.sweep_string_iterator()
        found += [f"{key}={value}" for value in values if key != "seed"]
    return found


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in names("experiment") for value in swept(name)])
def test_every_value_that_an_experiment_sweeps_is_valid(name, value):
    config = plain(f"experiment={name}", value)
    assert build_parts(config).config == config


@pytest.mark.parametrize("name", [name for name in names("debug") if name != "quick"])
def test_a_debug_setting_shows_tracebacks(name):
    assert plain(f"debug={name}")["show_traceback"]


@pytest.mark.parametrize(
    "path", sorted((ROOT.parent / "experiments" / "wandb_sweep").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_keys_and_values_of_a_wandb_sweep_are_valid(path):
    sweep = yaml.safe_load(path.read_text())
    overrides = [argument for argument in sweep["command"] if "=" in argument]
    for name, values in sweep["parameters"].items():
        overrides.append(f"{name}={values['values'][0] if 'values' in values else values['min']}")
    assert sweep["program"] == "aevq.train"
    build_parts(plain(*overrides))
