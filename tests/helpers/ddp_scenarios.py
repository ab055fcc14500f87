"""What one of several processes does in the tests of DDP; the same functions run in a single process for comparison."""

import os
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

import aevq.metrics.labels
import aevq.models.vae
from aevq.config.command_line import compose
from aevq.latents import CodeSpec, LatentSet
from aevq.metrics.generate import encode_splits
from aevq.metrics.protocol import EvaluationSettings, run_protocol
from aevq.metrics.subject import Subject
from aevq.models import VAE, VQVAE
from aevq.models.vae import Posterior
from aevq.nn import DeadCodeRestart, GradientUpdate, VectorQuantizer
from aevq.nn.distributed import sharing_chunks
from aevq.priors import PixelCNN, Uniform
from aevq.runs.folder import make_folder
from aevq.runs.run import Run
from aevq.training.callbacks import CodebookHealth
from aevq.training.fit import fit_model, model_trainer
from aevq.training.parts import Parts, build_parts, to_plain
from helpers.small_models import small_model

BATCH = 64  # of all processes together
STEPS = 12
RANKS = int(os.environ.get("WORLD_SIZE", "1"))  # Lightning removes it from the environment after the first training


def make_parts(precision: str, **trainer: Any) -> Parts:
    """Return the parts of a run, of which the model and the priors are not used."""
    overrides = ["model=ae", "data=mnist5k", "trainer=cpu", "logger=none", f"data.batch_size={BATCH // RANKS}"]
    parts = build_parts(to_plain(compose(*overrides)))
    parts.trainers.arguments |= {  # not checked: aevq refuses float64, and more processes than this machine has cores
        "precision": precision,
        "max_steps": STEPS,
        "val_check_interval": 6,
        "log_every_n_steps": 4,
        "enable_progress_bar": False,
        "devices": RANKS,
        "strategy": "ddp" if RANKS > 1 else "auto",
        **trainer,
    }
    parts.data.prepare()
    return parts


class Observer(pl.Callback):
    """Keeps losses, gradients, the codebook of the k-means start, and which collectives were called, but for DDP's."""

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
    """Return a model: `vqvae` starts by k-means, follows averages; `vqvae_gradient` starts randomly, has dead codes."""
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
    """Replaces the noise of a VAE by one that depends on the image only, so that it is the same in any process."""

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
    """Train a model, as a run does."""
    model, observer = build_model(name), Observer()
    parts = replace(make_parts(precision), model=model, callbacks=[observer, CodebookHealth()])
    run = Run(make_folder(folder / f"{name}_{precision}_{RANKS}"))
    if isinstance(model, VAE):
        aevq.models.vae.reparameterize = NoiseOfTheImage(model)
    if isinstance(model, VQVAE):
        model.quantizer.update.restart = _counting(model.quantizer.update.restart, observer)
    trainer = model_trainer(parts)
    fit_model(trainer, parts, run)
    tensors = {key: value for key, value in model.state_dict().items() if torch.is_tensor(value)}
    return {
        "losses": torch.stack(observer.losses),
        "gradients": observer.gradients,
        "start": observer.start,
        "revived": observer.revived,
        "in_steps": observer.in_steps,
        "broadcasts": observer.calls["broadcast"],
        "weights": tensors,
        "validation": {key: value for key, value in trainer.callback_metrics.items() if key.startswith("val/")},
        "noise": torch.randn(3),
    }


def _counting(restart, observer):
    def counted(dead, vectors):
        observer.revived += int(dead.sum())
        restart(dead, vectors)

    return counted


def grids(data: Any) -> LatentSet:
    """Return real code grids: digits, reduced to 7×7 of 16 grey levels."""

    def codes(split: str) -> torch.Tensor:
        return (torch.nn.functional.avg_pool2d(data.images(split), 4)[:, 0] * 15).round().long()

    return LatentSet(codes("train"), data.labels("train"), codes("val"), data.labels("val"))


def train_prior(precision: str, folder: Path) -> dict[str, Any]:
    """Train a PixelCNN, with a Trainer as a run makes it."""
    parts = make_parts(precision, max_epochs=-1)
    schedule = {"learning_rate": 1e-2, "max_steps": STEPS, "val_every_steps": 6, "patience": 9}
    prior = PixelCNN(CodeSpec(16, 7, 7), channels=8, layers=2, **schedule, batch_size=BATCH // RANKS)
    prior.to(torch.float64 if precision == "64-true" else torch.float32)  # with its moving average
    observer, made = Observer(), []

    def make_trainer(callbacks, **changes):
        root = str(folder / f"prior_{precision}_{RANKS}")
        made.append(parts.trainers.make("prior", [*callbacks, observer], default_root_dir=root, **changes))
        return made[0]

    prior.fit(grids(parts.data), make_trainer=make_trainer)
    return {
        "losses": torch.stack(observer.losses),
        "gradients": observer.gradients,
        "weights": prior.state_dict(),
        "validation": {k: v for k, v in made[0].callback_metrics.items() if "val_" in k},
    }


def evaluate() -> dict[str, Any]:
    """Measure a model and its priors; the processes share the work."""
    data, model = make_parts("32-true").data, build_model("vqvae_gradient").eval()
    torch.manual_seed(0)  # the priors are the same in all processes
    aevq.metrics.labels.TRAINING = ((4000, 2e-3),)
    with sharing_chunks():
        latents = encode_splits(model, data)
        prior = PixelCNN(model.latent_spec, channels=8, layers=2, conditional=True)
        priors = {"pixelcnn": prior.eval(), "uniform": Uniform(model.latent_spec)}
        little = {"samples": 300, "importance_samples": 0, "likelihood_images": 1}
        settings = EvaluationSettings(**little, memorisation=False, probes=False)
        metrics = run_protocol(Subject(model, priors, data, latents, settings)).metrics
    return {"metrics": metrics, "train": latents.train}


def everything(precision: str, folder: Path) -> dict[str, Any]:
    """Do all of it, in one process: it takes seconds to start."""
    models = ("ae", "vae", "vqvae", "vqvae_gradient")
    results = {name: train(name, precision, folder) for name in models}
    # The evaluation is last, in the group that the trainings have left.
    return results | {"pixelcnn": train_prior(precision, folder), "evaluation": evaluate()}
