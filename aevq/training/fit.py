"""The two stages of a run that take time: training the model, and fitting its priors."""

import logging
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from typing_extensions import override

from aevq.config.checks import to_config
from aevq.config.rank import rank
from aevq.errors import UserError
from aevq.files import load_plain
from aevq.latents import LatentSet
from aevq.metrics.generate import EncodedSplits
from aevq.models import LatentModel
from aevq.nn.distributed import gather_objects
from aevq.ops.finite import Diverged
from aevq.priors import Prior, TrainedPrior, is_fitted, load_prior, save_prior
from aevq.priors.trained import DEFAULT_STEPS
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
        named = "RANK, LOCAL_RANK or SLURM_PROCID"
        problem = f"the environment ({named}) sets rank {rank()}, but there is one device"
        raise UserError(f"trainer.devices: {problem}; set the number of processes, or unset these variables")
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
    _move(model, parts.priors, trainer.strategy.root_device)  # Lightning has moved the model to the CPU


def free_device(parts: Parts) -> None:
    """Move the model and its priors to the CPU, and give the memory of their device back."""
    _move(parts.model, parts.priors, torch.device("cpu"))


@contextmanager
def on_best_device(model: LatentModel, priors: dict[str, Prior], trainers: Trainers) -> Iterator[None]:
    """Move a model and its priors to the device that Trainers use, and at the end to the CPU."""
    _move(model, priors, trainers.make("", []).strategy.root_device)
    try:
        yield
    finally:
        _move(model, priors, torch.device("cpu"))


def _move(model: LatentModel, priors: dict[str, Prior], device: torch.device) -> None:
    modules: list[torch.nn.Module] = [model, *priors.values()]
    for module in modules:
        module.to(device)
    if device.type == "cpu" and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def fit_priors(
    priors: dict[str, Prior],
    latents: EncodedSplits,
    run: Run,
    trainers: Trainers,
    trust: Iterable[str] = (),
    model_steps: int = DEFAULT_STEPS,
) -> None:
    """Fit each prior to means or draws, as its `fit_to` says, and save it with the seconds that took.

    Those that were fitted to the same weights before are loaded.

    Of several processes all train a `TrainedPrior`; any other prior is fitted by the first and read by the rest.
    The files of the priors may name classes of the packages in `trust` besides those of aevq. A prior that does not say
    for how many steps it is trained has as many as the model, `model_steps`.
    """
    weights = run.weights_sha256  # of a resumed training they differ, and the priors are fitted again
    for name, prior in priors.items():
        path = run.prior_file(name)
        to_fit = not gather_objects(is_fitted(path, prior, weights))[0]
        fits = to_fit and (rank() == 0 or isinstance(prior, TrainedPrior))
        if fits:
            level = logging.DEBUG if prior.is_fixed else logging.INFO
            log.log(level, "fitting the prior %s", name)
            of_prior = latents.of(prior.fit_to)
            elapsed = _Elapsed()
            if isinstance(prior, TrainedPrior):
                prior.name = name
                prior.model_steps = model_steps
                _train_prior(prior, of_prior, run, trainers, weights, elapsed)
            else:
                prior.fit(of_prior)
            prior.fit_seconds = elapsed.seconds
            log.log(level, "%s: %s parameters, fitted in %.1f s", name, f"{prior.num_parameters:,}", prior.fit_seconds)
        if to_fit and rank() == 0:
            save_prior(prior, path, weights)
        gather_objects(None)  # from here on the file exists
        if not fits:
            loaded = load_prior(path, trust)
            prior.load_state_dict(loaded.state_dict())
            prior.fit_seconds = loaded.fit_seconds


class _Elapsed(pl.Callback):
    """Wall time of a fit since now, and that of an interrupted one before, which its checkpoint holds."""

    def __init__(self) -> None:
        self._before, self._start = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._start

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict["seconds"]


def _train_prior(
    prior: TrainedPrior, latents: LatentSet, run: Run, trainers: Trainers, weights: str, elapsed: _Elapsed
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
        trainer = trainers.make(f"prior {prior.name}", [*callbacks, elapsed], made_for, **limits | changes)
        _save_into(folder, trainer)
        return trainer

    with trainers.stop.deferred(), _naming_the_last_good(last):
        prior.fit(latents, make_trainer, last if same else None)


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
        hint = "there is no checkpoint yet; a lower learning rate or trainer.gradient_clip_val may help"
        if checkpoint.is_file():
            hint = f"the last good checkpoint is {checkpoint}, of step {load_plain(checkpoint)['global_step']}"
        raise Diverged(f"{error}; {hint}") from error
