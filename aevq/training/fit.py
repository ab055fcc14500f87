"""The two stages of a run that take time: training the model, and fitting its priors."""

import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from aevq.config.checks import to_config
from aevq.config.rank import rank
from aevq.errors import UserError
from aevq.files import load_plain
from aevq.latents import LatentSet
from aevq.models import LatentModel
from aevq.nn.distributed import gather_objects
from aevq.ops.finite import Diverged
from aevq.priors import Prior, TrainedPrior, is_fitted, load_prior, save_prior
from aevq.runs.run import Run
from aevq.training.checkpoint import Checkpoint, StopOnRequest
from aevq.training.parts import Parts
from aevq.training.trainer import Trainers

log = logging.getLogger("aevq")


def model_trainer(parts: Parts) -> pl.Trainer:
    """Return the Trainer of the model, which saves the best and the last weights.

    Raises:
        UserError: If an argument is wrong, or this process is one of several and the Trainer is for one.
    """
    best = Checkpoint(filename="best", monitor="val/objective", save_top_k=1, enable_version_counter=False)
    last = Checkpoint(filename="last", save_top_k=1, enable_version_counter=False)
    trainer = parts.trainers.make(f"{type(parts.model).__name__} on {parts.data.name}", [*parts.callbacks, best, last])
    if trainer.world_size == 1 and rank() > 0:
        named = "RANK, LOCAL_RANK, SLURM_PROCID"
        raise UserError(f"trainer.devices: expected several, as rank {rank()} in the environment ({named}) says, got 1")
    return trainer


def fit_model(trainer: pl.Trainer, parts: Parts, run: Run) -> None:
    """Train the model, or resume from `last.ckpt`, and leave it with the weights of the best validation.

    The model and the priors, not fitted yet, are left on the device of the trainer; `free_device` ends that. The data
    are prepared; the trainer is by `model_trainer`.
    """
    model, trainers = parts.model, parts.trainers
    # Initial weights are the same on all ranks, noise is not; Lightning would seed all alike when it connects them.
    os.environ.pop("PL_GLOBAL_SEED", None)
    torch.manual_seed(parts.config["seed"] + 1_000_003 * rank())
    last, best = run.checkpoints / "last.ckpt", run.checkpoints / "best.ckpt"
    _save_into(run.checkpoints, trainer)
    resume_from = last if last.is_file() else None
    _forget_metrics(trainers, ("train/", "val/"), resume_from)
    with warnings.catch_warnings(), trainers.stop.deferred(), _compiled(model, parts.config["compile"]):
        # The folder of a resumed run holds its checkpoints already.
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
        with _naming_the_last_good(last):
            trainer.fit(model, datamodule=parts.data, ckpt_path=resume_from)
            trainer.should_stop = False  # it has stopped; resumed for longer it has to continue
            trainer.save_checkpoint(last)
        # No validation happened, for example under `fast_dev_run`. All ranks save, or none; the first one decides.
        if gather_objects(not best.is_file())[0]:
            trainer.save_checkpoint(best)
    if trainers.arguments.get("profiler"):
        untyped: Any = trainer
        print(untyped.profiler.summary())
    model.load_state_dict(load_plain(best)["state_dict"])
    model.eval()
    _move(parts, trainer.strategy.root_device)  # Lightning has moved the model to the CPU


def free_device(parts: Parts) -> None:
    """Move the model and its priors to the CPU, and give the memory of their device back."""
    _move(parts, torch.device("cpu"))
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _move(parts: Parts, device: torch.device) -> None:
    modules: list[torch.nn.Module] = [parts.model, *parts.priors.values()]
    for module in modules:
        module.to(device)


def fit_priors(
    priors: dict[str, Prior],
    latents: LatentSet,
    run: Run,
    trainers: Trainers,
    trust: Iterable[str] = (),
    model_steps: int | None = None,
) -> None:
    """Fit each prior and save it; load those that were fitted to the same weights before.

    Of several processes all train a `TrainedPrior`; any other prior is fitted by the first and read by the rest.
    The files of the priors may name classes of the packages in `trust` besides those of aevq. A prior that does not say
    for how many steps it is trained has as many as the model, `model_steps`.
    """
    weights = run.weights_sha256  # of a resumed training they differ, and the priors are fitted again
    for name, prior in priors.items():
        path = run.priors / f"{name}.safetensors"
        to_fit = not gather_objects(is_fitted(path, prior, weights))[0]
        fits = to_fit and (rank() == 0 or isinstance(prior, TrainedPrior))
        if fits:
            log.info("fitting the prior %s", name)
            if isinstance(prior, TrainedPrior):
                prior.name = name
                _train_prior(prior, latents, run, trainers, weights, model_steps)
            else:
                prior.fit(latents)
        if to_fit and rank() == 0:
            save_prior(prior, path, weights)
        gather_objects(None)  # from here on the file exists
        if not fits:
            prior.load_state_dict(load_prior(path, trust).state_dict())


def _train_prior(
    prior: TrainedPrior, latents: LatentSet, run: Run, trainers: Trainers, weights: str, model_steps: int | None
) -> None:
    """Train one prior; resume from its own checkpoint if that is of the same weights of the model."""
    folder = run.priors / prior.name
    last = folder / "last.ckpt"
    made_for = {"fitted_to": weights, "prior": to_config(prior)}
    saved = load_plain(last) if last.is_file() else {}
    same = all(saved.get(key) == value for key, value in made_for.items())
    _forget_metrics(trainers, (f"prior/{prior.name}/",), last if same else None)

    def make_trainer(callbacks: list[pl.Callback], **changes: Any) -> pl.Trainer:
        limits = {"max_epochs": -1, "check_val_every_n_epoch": None, "default_root_dir": str(folder)}
        trainer = trainers.make(f"prior {prior.name}", callbacks, made_for, **limits | changes)
        _save_into(folder, trainer)
        return trainer

    with trainers.stop.deferred(), _naming_the_last_good(last):
        prior.fit(latents, make_trainer, last if same else None, model_steps)


def _save_into(folder: Path, trainer: pl.Trainer) -> None:
    untyped: Any = trainer
    for callback in untyped.callbacks:
        if isinstance(callback, Checkpoint):
            callback.dirpath = str(folder)
        elif isinstance(callback, StopOnRequest):
            callback.path = folder / "last.ckpt"


def _forget_metrics(trainers: Trainers, prefixes: tuple[str, ...], resume_from: Path | None) -> None:
    """Drop the metrics of steps that a resumed training repeats."""
    step = int(load_plain(resume_from)["global_step"]) if resume_from else 0
    if step:
        log.info("resuming from step %d", step)
    for logger in trainers.loggers:
        logger.forget(prefixes, step)


@contextmanager
def _compiled(model: LatentModel, mode: str | None) -> Iterator[None]:
    """Compile `model.loss_terms` inside, if there is a mode; its parameters keep their names."""
    if mode is None:
        yield
        return
    vars(model)["loss_terms"] = torch.compile(model.loss_terms, mode=mode)  # shadows the method
    try:
        yield
    finally:
        del vars(model)["loss_terms"]


@contextmanager
def _naming_the_last_good(checkpoint: Path) -> Iterator[None]:
    """Let the error of a training that diverges name the checkpoint to resume from."""
    try:
        yield
    except Diverged as error:
        hint = "there is no checkpoint yet"
        if checkpoint.is_file():
            hint = f"the last good checkpoint is {checkpoint}, of step {load_plain(checkpoint)['global_step']}"
        raise Diverged(f"{error}; {hint}") from error
