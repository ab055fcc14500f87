"""The parts of a run: built from its configuration, and so checked, before any data are read or any file is written."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, ValidationError
from pytorch_lightning.callbacks import GradientAccumulationScheduler, StochasticWeightAveraging

from aevq.config.checks import Name, PositiveInt, Seed, Text, argument_error
from aevq.config.instantiate import EVERYTHING, instantiate
from aevq.config.rank import rank
from aevq.data import ImageDataModule
from aevq.errors import UserError, did_you_mean, expect
from aevq.latents import CodeSpec
from aevq.metrics.catalogue import METRICS
from aevq.metrics.protocol import EvaluationSettings
from aevq.models import LatentModel, VariationalModel
from aevq.nn.contexts import evaluating
from aevq.nn.likelihood import Bernoulli
from aevq.priors import Prior
from aevq.report.plots import PlotSettings
from aevq.training.loggers import RunLogger
from aevq.training.trainer import Trainers

T = TypeVar("T")

# Callbacks of Lightning that do not fit a run, and what to use instead.
REFUSED: dict[type[pl.Callback], str] = {
    StochasticWeightAveraging: "best.ckpt would not hold its average; use pytorch_lightning.callbacks.WeightAveraging",
    GradientAccumulationScheduler: "the number of steps has to be known; use trainer.accumulate_grad_batches",
}

# Set by SLURM, by hand or by torchrun where there are several machines.
CLUSTER_VARIABLES = ("SLURM_JOB_ID", "MASTER_ADDR", "TORCHELASTIC_RUN_ID")


class _Paths(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    runs: Text


class RunConfig(BaseModel):
    """The keys of `conf/train.yaml`; those with a default may be missing. Each part checks its own arguments."""

    model_config = ConfigDict(strict=True, extra="forbid")

    data: dict[str, Any]
    model: dict[str, Any]
    prior: dict[Name, Any] = {}
    trainer: dict[str, Any]
    logger: dict[Name, Any] = {}
    callbacks: dict[Name, Any] = {}
    evaluation: dict[str, Any]
    plots: dict[str, Any] | None = None
    my: dict[str, Any] = {}
    seed: Seed
    prior_max_steps: PositiveInt | None
    compile: Literal["default", "reduce-overhead", "max-autotune"] | None
    resume: Text | int | None
    trust: list[Text]
    objective: Text
    tags: list[str]
    notes: str | None
    matmul_precision: Literal["highest", "high", "medium"]
    show_traceback: bool
    paths: dict[str, Any]


@dataclass(frozen=True)
class Parts:
    """What a run is made of."""

    config: dict[str, Any]  # the whole configuration, plain values
    data: ImageDataModule  # not read yet
    model: LatentModel  # not trained
    priors: dict[str, Prior]  # by name, not fitted
    callbacks: list[pl.Callback]  # of the model's training
    trainers: Trainers  # with the loggers, which are not started
    evaluation: EvaluationSettings  # what is measured at the end
    plots: PlotSettings | None  # what is drawn at the end, if anything


def to_plain(config: DictConfig) -> dict[str, Any]:
    """Return the configuration as resolved plain values."""
    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return {str(key): value for key, value in plain.items()}


def build_parts(config: dict[str, Any], trust: Iterable[str] = EVERYTHING) -> Parts:
    """Build and check all parts of a run; `trust` are packages whose classes it may name besides those of aevq.

    Raises:
        UserError: At the first key that is unknown, missing or wrong, and if parts do not fit together.
    """
    checked: list[tuple[str, type[BaseModel], Any]] = [("", RunConfig, config), ("paths", _Paths, config.get("paths"))]
    for owner, keys, values in checked:
        try:
            keys.model_validate(values)
        except ValidationError as error:
            problem = argument_error(error, keys.model_fields, owner)
            own = "; values of your own: +my.<name>=…" if "no such key" in problem.problem else ""
            raise UserError(f"{problem}{own}") from error
    optional = {name: field for name, field in RunConfig.model_fields.items() if not field.is_required()}
    config = config | {name: field.get_default() for name, field in optional.items() if name not in config}
    _check_texts(config)
    torch.set_float32_matmul_precision(config["matmul_precision"])
    trainers = Trainers(config["trainer"])
    data = instantiate(config["data"], "data", ImageDataModule, trust=trust)
    pl.seed_everything(config["seed"], verbose=False)
    model = instantiate(config["model"], "model", LatentModel, trust=trust)
    priors = _each(config, "prior", Prior, trust, spec=model.latent_spec)
    callbacks = _each(config, "callbacks", pl.Callback, trust)
    for name, callback in callbacks.items():
        if reason := REFUSED.get(type(callback)):
            raise UserError(f"callbacks.{name}: {type(callback).__name__} is not supported: {reason}")
    evaluation = instantiate(config["evaluation"], "evaluation", EvaluationSettings, trust=trust)
    drawn = config["plots"]
    plots = instantiate(drawn, "plots", PlotSettings, trust=trust) if drawn is not None else None
    if rank() == 0 and not config["trainer"].get("fast_dev_run"):
        trainers.loggers += _each(config, "logger", RunLogger, trust).values()
    parts = Parts(config, data, model, priors, list(callbacks.values()), trainers, evaluation, plots)
    _check_together(parts)
    return parts


def check_objective(parts: Parts) -> None:
    """Raise a `UserError` unless a run of these parts measures the metric `objective`, as far as its parts tell."""
    name, settings = parts.config["objective"], parts.evaluation
    codes, variational = isinstance(parts.model.latent_spec, CodeSpec), isinstance(parts.model, VariationalModel)
    binary = isinstance(parts.model.likelihood, Bernoulli) and parts.config["data"].get("binarize", "none") != "none"
    left_out = parts.data.leave_out is not None and settings.split == "test"
    needs = {
        "codebook/|rate/(?!kl_bits)|likelihood/.*_nll_bound": (codes, "a model with a codebook"),
        "pca/": (not codes, "a model whose latents are vectors"),
        "latent/|loss/kl|rate/kl_bits|likelihood/(?!.*_nll_bound)": (variational, "a variational model"),
        "likelihood/": (binary, "binary images: model/likelihood=bernoulli data.binarize=dynamic"),
        "likelihood/(nll$|im)": (settings.importance_samples > 0, "evaluation.importance_samples above 0"),
        "likelihood/(.+_nll$|prior_im)": (
            settings.prior_importance_samples > 0,
            "evaluation.prior_importance_samples above 0",
        ),
        ".*/label_accuracy": (settings.label_accuracy, "evaluation.label_accuracy=true"),
        "samples/|real/|reconstruction/fd": (settings.samples > 0, "evaluation.samples above 0"),
        "probe/": (settings.probes, "evaluation.probes=true"),
        "anomaly/": (left_out, "data.leave_out, and evaluation.split=test"),
    }
    for pattern, (met, needed) in needs.items():
        if re.match(pattern, name) and not met:
            raise UserError(f"objective: {name} needs {needed}")
    of_prior = re.fullmatch("(?:samples|prior)/(.*)/.*|rate/(.*)_bits|likelihood/(.*)_(?:nll_bound|nll|elbo)", name)
    for prior in filter(None, of_prior.groups() if of_prior else ()):
        if prior not in ("kl", "grid", *parts.priors):
            raise UserError(f"objective: {name} needs the prior {prior!r}; {did_you_mean(prior, parts.priors)}")


def _each(config: dict[str, Any], group: str, kind: type[T], trust: Iterable[str], **arguments: Any) -> dict[str, T]:
    """Build all parts of a group that holds several, by name."""
    nodes = config[group]
    for name, node in nodes.items():
        if isinstance(node, dict) and "_target_" not in node:  # of a part that an override has replaced
            chosen = ",".join([*(each for each in nodes if each != name), name])
            raise UserError(f"{group}.{name}: has options, but is not chosen; to choose it write {group}=[{chosen}]")
    return {name: instantiate(node, f"{group}.{name}", kind, trust=trust, **arguments) for name, node in nodes.items()}


def _check_texts(node: Any, key: str = "") -> None:
    """Refuse texts that could not be read again from the run's config.yaml."""
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            _check_texts(value, f"{key}.{name}".removeprefix("."))
            _check_texts(name, key)
    elif isinstance(node, str) and ("${" in node or node.encode(errors="ignore").decode() != node):
        raise UserError(f"{key}: expected text in UTF-8 without ${{, got {node!r}")


def _check_together(parts: Parts) -> None:
    """Check what only several parts together show; no data are read."""
    _check_devices(parts.config["trainer"])
    objective = parts.config["objective"]
    catalogue = (metric for metric in METRICS if not metric.curve and metric.section != "Cost")
    measured = (*parts.evaluation.extra_metrics, *catalogue)
    if not any(metric.match(objective) for metric in measured):
        near = get_close_matches(objective, [metric.name for metric in measured], n=3, cutoff=0.3)
        raise UserError(f"objective: no such metric at a run's end, got {objective!r}; near: {', '.join(near)}")
    data, model = parts.data, parts.model
    if model.likelihood.for_binary_images and parts.config["data"].get("binarize", "none") == "none":
        raise UserError(
            "model/likelihood: bernoulli is for binary images, and data.binarize=none leaves them grey; set "
            "data.binarize=dynamic, or model/likelihood=cross_entropy for grey images"
        )
    _check_images(model, data)
    images = data.train_size
    expect(images > 0, "data.val_size", f"less than {images + data.val_size}, the train images", data.val_size)
    expect(data.batch_size <= images, "data.batch_size", f"at most {images} (train images)", data.batch_size)
    for name, prior in parts.priors.items():
        check_prior(name, prior, data)


def check_prior(name: str, prior: Prior, data: ImageDataModule) -> None:
    """Raise a `UserError` if the data have too few images for a prior, or other classes."""
    if prior.fewest_latents > data.train_size:
        raise UserError(f"prior.{name}: needs at least {prior.fewest_latents} train images, got {data.train_size}")
    wanted = f"{data.num_classes}, the classes of {data.name}"
    expect(prior.num_classes in (None, data.num_classes), f"prior.{name}.num_classes", wanted, prior.num_classes)


def _check_images(model: LatentModel, data: ImageDataModule) -> None:
    """Check that the model accepts the data's images, with two black ones."""
    shape = tuple(data.image_shape)
    try:
        with torch.random.fork_rng(devices=[]), evaluating(model):
            model.loss_terms(torch.zeros(2, *shape))
    except UserError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"model: cannot take images of {data.name}, {list(shape)} ({reason})") from error


def _check_devices(trainer: Mapping[str, Any]) -> None:
    """Check that there are as many devices as are asked for."""
    accelerator, devices = trainer.get("accelerator", "auto"), trainer.get("devices", "auto")
    if trainer.get("num_nodes", 1) > 1 and not any(name in os.environ for name in CLUSTER_VARIABLES):
        raise UserError(f"trainer.num_nodes: expected 1 outside a cluster's job, got {trainer['num_nodes']}")
    gpus = torch.cuda.device_count()
    if accelerator in ("gpu", "cuda") and gpus == 0 and not torch.backends.mps.is_available():
        raise UserError(f"trainer.accelerator: this machine has no GPU, got {accelerator!r}; use trainer=cpu")
    wanted = max(devices) + 1 if isinstance(devices, list) and devices else devices
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and gpus == 0)
    available = max(2, os.cpu_count() or 1) if on_cpu else gpus
    if isinstance(wanted, int) and available and wanted > available:
        kind = "processes on this machine's cores" if on_cpu else "GPUs of this machine"
        raise UserError(f"trainer.devices: expected at most {available} ({kind}), got {devices}")
