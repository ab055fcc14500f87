"""Training a model and fitting its priors: the two stages of a run that take time."""

from __future__ import annotations

import inspect
import logging
import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.nn.parallel import DistributedDataParallel

from aevq.errors import UserError
from aevq.nn.distributed import gather_objects
from aevq.ops.finite import Diverged, last_good
from aevq.priors import Prior, fitted_to, load_prior, save_prior
from aevq.runs.run import read_checkpoint
from aevq.training.callbacks.checkpoint import Checkpoint, SelfDescribing
from aevq.training.callbacks.exact_resume import ExactResume
from aevq.training.callbacks.preemption import Preemption, leave_signals_to_us
from aevq.training.callbacks.progress import StepProgress
from aevq.training.checkpoint_io import AtomicCheckpointIO
from aevq.training.loggers import MetricsCSV
from aevq.training.stepping import fast_device_checks
from aevq.training.stop import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytorch_lightning.loggers import Logger

    from aevq.data import MNISTDataModule
    from aevq.latents import LatentSet
    from aevq.models import LatentModel
    from aevq.runs.run import Run

__all__ = ["Trainers", "check_trainer", "fit_model", "fit_priors"]

log = logging.getLogger("aevq")


@dataclass
class Trainers:
    """Makes the Lightning Trainers of a run: the same device, precision and loggers for each stage.

    Attributes:
        config: The `trainer` group, plain values.
        run_config: The whole configuration, which goes into every checkpoint.
        loggers: Shared by the stages.
        notice: Whether this process was told to stop.
    """

    config: dict[str, Any]
    run_config: dict[str, Any]
    loggers: list[Logger] = field(default_factory=list)
    notice: Notice = field(default_factory=Notice)

    def make(self, title: str, last: Path, callbacks: list[Callback] | None = None, **changes: Any) -> pl.Trainer:
        """A Trainer for one stage.

        Args:
            title: What the progress bar says.
            last: The checkpoint that it writes when it is told to stop; in its folder are its other files.
            callbacks: Further callbacks.
            **changes: Arguments of Lightning's Trainer that differ from the configuration.
        """
        arguments = {key: value for key, value in self.config.items() if key != "_target_"}
        arguments |= {"default_root_dir": str(last.parent)} | changes
        if arguments.get("strategy") == "ddp":
            arguments["strategy"] = _ddp()
        bar = [StepProgress(title)] if arguments.get("enable_progress_bar", True) else []
        ours = [SelfDescribing(self.run_config), ExactResume(), Preemption(self.notice, last), *bar]
        trainer = pl.Trainer(
            **arguments,
            logger=self.loggers or False,
            callbacks=[*ours, *(callbacks or [])],
            plugins=[AtomicCheckpointIO()],
        )
        leave_signals_to_us(trainer)
        return trainer


def _ddp() -> DDPStrategy:
    """DDP that sends no buffers.

    They are those of the codebook, which all ranks move alike: to send them at each step costs time, and would hide it
    if they did not.
    """
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    younger, older = "forward_sync_buffers", "broadcast_buffers"
    options: dict[str, Any] = {younger if younger in known else older: False}
    return DDPStrategy(**options)


def check_trainer(config: dict[str, Any]) -> None:
    """Refuse a `trainer` group that Lightning would refuse, before anything is written.

    Raises:
        UserError: If an argument is unknown or bad.
    """
    arguments = {key: value for key, value in config.items() if key != "_target_"}
    try:
        pl.Trainer(**arguments | {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False})
    except (MisconfigurationException, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error


def fit_model(
    model: LatentModel, data: MNISTDataModule, run: Run, trainers: Trainers, callbacks: list[Callback]
) -> pl.Trainer:
    """Train `model`, or go on from `last.ckpt`, and leave it with the weights of the best validation.

    Returns:
        The Trainer, for its counts.
    """
    best = Checkpoint(run.checkpoints, "best", monitor="val/objective", save_top_k=1, enable_version_counter=False)
    last = Checkpoint(run.checkpoints, "last", save_top_k=1, enable_version_counter=False)
    title = f"{type(model).__name__} on {data.name}"
    callbacks = [*callbacks, best, last]
    saved = run.checkpoints / "last.ckpt"
    trainer = trainers.make(title, saved, callbacks, default_root_dir=str(run.path))
    resume_from = saved if saved.is_file() else None
    _forget_figures(trainers, ("train/", "val/"), resume_from)
    if resume_from:
        checkpoint = read_checkpoint(resume_from)
        log.info("going on from step %d", checkpoint["global_step"])
    as_fast = fast_device_checks(), compiled(model, trainers.run_config["compile"])
    with warnings.catch_warnings(), trainers.notice.deferred(), as_fast[0], as_fast[1]:
        # The folder of a run that is resumed holds its checkpoints already.
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
        with _naming_the_last_good(saved):
            trainer.fit(model, datamodule=data, ckpt_path=resume_from)
            trainer.should_stop = False  # it has; whoever resumes it for longer wants it to go on
            trainer.save_checkpoint(saved)
        # No validation happened, under `fast_dev_run` say. All ranks save, or none; the first says which.
        if gather_objects(not (run.checkpoints / "best.ckpt").is_file())[0]:
            trainer.save_checkpoint(run.checkpoints / "best.ckpt")
    if trainers.config.get("profiler"):
        print(trainer.profiler.summary())  # type: ignore[attr-defined]
    model.load_state_dict(read_checkpoint(run.checkpoints / "best.ckpt")["state_dict"])
    model.eval()
    return trainer


@contextmanager
def compiled(model: LatentModel, mode: str | None) -> Iterator[None]:
    """Inside, `model.terms` is compiled; its parameters keep their names. None leaves it as it is.

    Args:
        model: The model.
        mode: Of `torch.compile`.
    """
    if mode is None:
        yield
        return
    vars(model)["terms"] = torch.compile(model.terms, mode=mode)  # shadows the method
    try:
        yield
    finally:
        del vars(model)["terms"]


def _forget_figures(trainers: Trainers, prefixes: tuple[str, ...], resume_from: Path | None) -> None:
    """Drop the figures of steps that a resumed training does again."""
    step = int(read_checkpoint(resume_from)["global_step"]) if resume_from else 0
    for logger in trainers.loggers:
        if isinstance(logger, MetricsCSV):
            logger.forget(prefixes, step)


def fit_priors(
    priors: dict[str, Prior],
    configs: dict[str, Any],
    latents: LatentSet,
    run: Run,
    trainers: Trainers,
    active: bool,
    trust: tuple[str, ...],
) -> dict[str, Prior]:
    """Fit each prior, or load it where an earlier start of the run did.

    Of several processes all train a prior that is trained; any other is fitted by the first and read by the rest.

    Args:
        priors: Unfitted priors by name.
        configs: Their configurations, plain values.
        latents: What to fit them to.
        run: Where they are saved.
        trainers: Makes the Trainer of a prior that is trained.
        active: Whether this process writes.
        trust: See `aevq.config.instantiate.build`.

    Returns:
        The fitted priors by name.
    """
    # The weights that the latents come from: a prior of other weights, from before a resumed training, is fitted again.
    weights = run.weights_sha256
    stage = replace(trainers, run_config=trainers.run_config | {"fitted_to": weights})
    fitted: dict[str, Prior] = {}
    for name, prior in priors.items():
        path = run.priors / f"{name}.safetensors"
        to_fit = not gather_objects(fitted_to(path) == weights)[0]
        fits = to_fit and (active or isinstance(prior, pl.LightningModule))
        if fits:
            log.info("fitting the prior %s", name)
            _fit_prior(name, prior, latents, run, stage)
        if to_fit and active:
            save_prior(prior, configs[name], path, weights)
        gather_objects(None)  # the file is there
        if not fits:
            prior.load_state_dict(load_prior(path, trust).state_dict())  # type: ignore[attr-defined]
        fitted[name] = prior
    return fitted


def _fit_prior(name: str, prior: Prior, latents: LatentSet, run: Run, stage: Trainers) -> None:
    """Fit one prior; go on from its own checkpoint if that is of the same model."""
    folder = run.priors / name
    last = folder / "last.ckpt"
    same = last.is_file() and read_checkpoint(last)["config"].get("fitted_to") == stage.run_config["fitted_to"]
    _forget_figures(stage, (f"prior/{name}/",), last if same else None)

    def make_trainer(**changes: Any) -> pl.Trainer:
        limits = {"max_epochs": -1, "check_val_every_n_epoch": None}
        return stage.make(f"prior {name}", last, **limits | changes)

    with stage.notice.deferred(), _naming_the_last_good(last):
        prior.fit(latents, make_trainer=make_trainer, resume_from=last if same else None)


@contextmanager
def _naming_the_last_good(checkpoint: Path) -> Iterator[None]:
    """Let a training that diverges say where it can go on from."""
    try:
        yield
    except Diverged as error:
        raise Diverged(f"{error}; {last_good(checkpoint, read_checkpoint)}") from error


def to_plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as resolved plain values, and nothing that a checkpoint could not hold.

    Raises:
        UserError: If a value is missing.
    """
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if not isinstance(plain, dict):
        raise UserError("the configuration is not a mapping")
    return {str(key): value for key, value in plain.items()}


def seed_noise(seed: int, rank: int) -> None:
    """Start the random numbers of a process: the same weights everywhere come from `seed`, noise from seed and rank."""
    # Lightning, when it joins the processes, would seed them all alike again.
    os.environ.pop("PL_GLOBAL_SEED", None)
    torch.manual_seed(seed + 1_000_003 * rank)
