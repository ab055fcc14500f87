"""What one process of several does in the tests of DDP; the same functions run in a single process for comparison."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

import aevq.models.vae
from aevq.config.command_line import compose
from aevq.config.instantiate import instantiate
from aevq.data import MNISTDataModule
from aevq.latents import CodeSpec, LatentSet
from aevq.metrics.generate import encode_splits
from aevq.metrics.protocol import EvaluationSettings, run_protocol
from aevq.metrics.subject import Subject
from aevq.models import VAE, VQVAE
from aevq.models.vae import Posterior
from aevq.nn import DeadCodeRestart, GradientUpdate, VectorQuantizer
from aevq.nn.distributed import sharing_chunks
from aevq.priors import PixelCNN, Uniform
from aevq.report.plots import PlotSettings
from aevq.runs.folder import make_folder
from aevq.runs.run import Run
from aevq.training.callbacks import CodebookHealth
from aevq.training.fit import fit_model, model_trainer
from aevq.training.parts import Parts, to_plain
from aevq.training.trainer import Trainers
from helpers.small_models import small_model

BATCH = 64  # of all processes together
STEPS = 12


RANKS = int(os.environ.get("WORLD_SIZE", "1"))  # Lightning takes it out of the environment after the first training


def config(**trainer: Any) -> dict[str, Any]:
    plain = to_plain(compose("data=mnist5k", "trainer=cpu", f"data.batch_size={BATCH // RANKS}"))
    plain["trainer"] |= {
        "max_steps": STEPS,
        "val_check_interval": 6,
        "log_every_n_steps": 4,
        "enable_progress_bar": False,
        "devices": RANKS,
        "strategy": "ddp" if RANKS > 1 else "auto",
    }
    return plain | {"trainer": plain["trainer"] | trainer}


def trainers_of(plain: dict[str, Any], precision: str) -> Trainers:
    """The Trainers of a configuration, in float64 too, which a user may not choose."""
    trainers = Trainers(plain["trainer"])
    trainers.arguments["precision"] = precision
    return trainers


class Watch(pl.Callback):
    """Keeps losses, gradients, the codebook that k-means gave, and what was communicated, DDP's own aside."""

    def __init__(self):
        self.losses, self.gradients, self.start, self.revived = [], [], {}, 0
        self.calls, self.in_steps = Counter(), []

    def setup(self, trainer, module, stage):
        self.originals = {name: getattr(torch.distributed, name) for name in ("all_reduce", "all_gather", "broadcast")}
        for name in self.originals:
            setattr(torch.distributed, name, partial(self.counted, name))

    def counted(self, name, *args, **kwargs):
        self.calls[name] += 1
        return self.originals[name](*args, **kwargs)

    def teardown(self, trainer, module, stage):
        for name, original in self.originals.items():
            setattr(torch.distributed, name, original)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.before = self.calls.copy()
        if trainer.global_step == 0:
            self.start = {name: value.clone() for name, value in module.state_dict().items() if torch.is_tensor(value)}

    def on_before_optimizer_step(self, trainer, module, optimizer):
        if trainer.global_step in (0, 7):
            self.gradients.append({n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None})

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(outputs["loss"].detach())
        self.in_steps.append(dict(self.calls - self.before))


def build_model(name: str) -> pl.LightningModule:
    """By name; `vqvae` starts by k-means and follows averages, `vqvae_gradient` starts anyhow and has dead codes."""
    torch.manual_seed(0)
    if not name.startswith("vqvae"):
        return small_model(name)
    model: VQVAE = small_model("vqvae")
    if name == "vqvae":
        model.codebook_init = "kmeans"
    else:
        model.quantizer = VectorQuantizer(16, 4, GradientUpdate(), DeadCodeRestart(0.99, every=5))
    return model


class NoiseOfTheImage:
    """In place of a VAE's noise: made of the image, so that it does not matter in which process that is."""

    def __init__(self, model: VAE):
        self.posterior, self.x = model.posterior, torch.empty(0)
        model.posterior = self.remember

    def remember(self, x: torch.Tensor) -> Posterior:
        self.x = x
        return self.posterior(x)

    def __call__(self, mu: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
        directions = torch.randn(784, mu.shape[1], generator=torch.Generator().manual_seed(0))
        return mu + (0.5 * log_var).exp() * (self.x.flatten(1) @ directions.to(mu) / 10)


def train(name: str, precision: str, folder: Path) -> dict[str, Any]:
    """Train a model by the product's own stage."""
    plain = config()
    run = Run(make_folder(folder / f"{name}_{precision}_{RANKS}"))
    model, data, watch = build_model(name), instantiate(plain["data"], "data", MNISTDataModule), Watch()
    if isinstance(model, VAE):
        aevq.models.vae.reparameterize = NoiseOfTheImage(model)
    if isinstance(model, VQVAE):
        model.quantizer.update.restart = _counting(model.quantizer.update.restart, watch)
    trainers = trainers_of(plain, precision)
    parts = Parts(plain, data, model, {}, [watch, CodebookHealth()], trainers, EvaluationSettings(), PlotSettings())
    trainer = model_trainer(trainers, parts.callbacks, name)
    fit_model(trainer, parts, run)
    tensors = {key: value for key, value in model.state_dict().items() if torch.is_tensor(value)}
    return {
        "losses": torch.stack(watch.losses),
        "gradients": watch.gradients,
        "start": watch.start,
        "revived": watch.revived,
        "in_steps": watch.in_steps,
        "broadcasts": watch.calls["broadcast"],
        "weights": tensors,
        "validation": {key: value for key, value in trainer.callback_metrics.items() if key.startswith("val/")},
        "noise": torch.randn(3),
    }


def _counting(restart, watch):
    def counted(dead, vectors):
        watch.revived += int(dead.sum())
        restart(dead, vectors)

    return counted


def grids(data: Any) -> LatentSet:
    """Real code grids: digits, coarsened to 7×7 of 16 grey levels."""

    def codes(split: str) -> torch.Tensor:
        return (torch.nn.functional.avg_pool2d(data.images(split), 4)[:, 0] * 15).round().long()

    return LatentSet(codes("train"), data.labels("train"), codes("val"), data.labels("val"))


def train_prior(precision: str, folder: Path) -> dict[str, Any]:
    """Train the PixelCNN, by a Trainer as a run makes it."""
    plain = config(max_epochs=-1)
    data = instantiate(plain["data"], "data", MNISTDataModule)
    data.prepare()
    arguments = {"channels": 8, "layers": 2, "kernel": 3, "conditional": False, "dropout": 0.0, "seed": 0}
    schedule = {"learning_rate": 1e-2, "weight_decay": 0.01, "max_steps": STEPS, "val_every_steps": 6, "patience": 9}
    prior = PixelCNN(CodeSpec(16, 7, 7), **arguments, **schedule, batch_size=BATCH // RANKS)
    watch, made = Watch(), []

    def make_trainer(callbacks, **changes):
        changes |= {"default_root_dir": str(folder / f"prior_{precision}_{RANKS}")}
        made.append(trainers_of(plain, precision).make("prior", [*callbacks, watch], **changes))
        return made[0]

    prior.fit(grids(data), make_trainer=make_trainer)
    return {
        "losses": torch.stack(watch.losses),
        "gradients": watch.gradients,
        "weights": prior.state_dict(),
        "validation": {k: v for k, v in made[0].callback_metrics.items() if "val_" in k},
    }


def evaluate() -> dict[str, Any]:
    """Measure a model and its priors, the work shared by the processes."""
    plain = config()
    data, model = instantiate(plain["data"], "data", MNISTDataModule), build_model("vqvae_gradient").eval()
    data.prepare()
    with sharing_chunks():
        latents = encode_splits(model, data)
        prior = PixelCNN(
            CodeSpec(16, 7, 7),
            channels=8, layers=2, kernel=3, conditional=True, dropout=0.0, learning_rate=1e-3, weight_decay=0.0,
            batch_size=64, max_steps=1, val_every_steps=1, patience=1,
        )  # fmt: skip
        uniform = Uniform(model.latent_spec)
        settings = EvaluationSettings("test", 300, 0, 1, memorisation=False, probes=False, seed=0)
        priors = {"pixelcnn": prior.eval(), "uniform": uniform}
        metrics = run_protocol(Subject(model, priors, data, latents, settings)).metrics
    return {"metrics": metrics, "train": latents.train}


def everything(precision: str, folder: Path) -> dict[str, Any]:
    """All of it, in one go: a process takes seconds to start."""
    models = ("ae", "vae", "vqvae", "vqvae_gradient")
    results = {name: train(name, precision, folder) for name in models}
    # The evaluation is last, in the group that the trainings have left.
    return results | {"pixelcnn": train_prior(precision, folder), "evaluation": evaluate()}
