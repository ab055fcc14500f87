"""Priors that are trained by gradient descent: the second stage of a run, by a Lightning Trainer.

The loss, by default −log p(z) in nats per latent, is minimised by AdamW with a warm-up and half a cosine. A moving
average of the weights is validated, and the best of these averages is kept. The caller makes the Trainer, so device,
loggers and progress bar are those of the first stage.
"""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import NonNegativeFloat, PositiveFloat, PositiveInt, Probability, Seed
from aevq.data import DeviceLoader, mix
from aevq.errors import expect
from aevq.files import load_plain
from aevq.latents import CodeSpec, LatentSet, LatentSpec
from aevq.nn.contexts import seeded
from aevq.nn.trained_module import TrainedModule
from aevq.ops.likelihood import nats_to_bits
from aevq.ops.schedule import warmup_cosine_factor
from aevq.priors.base import Prior

WARMUP = 0.1  # of all steps
DEFAULT_STEPS = 5160  # of `conf/trainer/auto.yaml`


class TrainedPrior(Prior, TrainedModule):
    """A prior that is trained to minimise its loss.

    A subclass builds its network in `__init__` and implements `sample`, and either `log_likelihood` or, if it minimises
    something else, `losses` with a `loss_name`. What it derives from all train latents at once it sets in `prepare`.

    Args:
        spec: The latents that it draws.
        learning_rate: Learning rate of AdamW after the warm-up.
        weight_decay: Weight decay of AdamW.
        batch_size: Latents of a step in each process.
        max_steps: Optimizer steps of the whole training, and length of the schedule; None: as many as the model had.
        val_every_steps: Optimizer steps between two validations; the last step is always validated.
        patience: Validations without a better validation loss after which the training stops.
        ema_decay: Decay of the moving average of the weights, lower in the first steps; 0 uses the weights themselves.
        seed: Seed of the initial weights, the order of the latents and dropout.

    Attributes:
        loss_name: The unit of the loss; metrics are `prior/<name>/train_<loss_name>` and `val_<loss_name>`.
        name: Its name in these metrics.
        conditional: Whether `losses` is given the classes.
        model_steps: Optimizer steps that the model was trained for, set by the caller of `fit`.
    """

    max_gradient_norm = 1.0
    loss_name: ClassVar[str] = "nats"
    name: str
    conditional: bool = False
    model_steps: int = DEFAULT_STEPS

    def __init__(
        self,
        spec: LatentSpec,
        learning_rate: PositiveFloat = 1e-3,
        weight_decay: NonNegativeFloat = 0.01,
        batch_size: PositiveInt = 64,
        max_steps: PositiveInt | None = None,
        val_every_steps: PositiveInt = 1290,
        patience: PositiveInt = 10,
        ema_decay: Probability = 0.99,
        seed: Seed = 0,
    ) -> None:
        super().__init__(spec)
        self.name = type(self).__name__.lower()
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.batch_size, self.max_steps = batch_size, max_steps
        self.val_every_steps, self.patience, self.seed = val_every_steps, patience, seed
        self.ema_decay = ema_decay
        self.steps = max_steps or self.model_steps

    def log_likelihood(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Return log p(z), or log p(z|y), with a gradient: `(B, *spec.shape)`, int64 `(B,)` → `(B,)`, nats."""
        raise NotImplementedError

    def losses(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Return what is minimised, of each latent: `(B, *spec.shape)`, int64 `(B,)` → `(B,)`."""
        return -self.log_likelihood(latents, labels)

    def prepare(self, latents: LatentSet) -> None:
        """Set the buffers that depend on all train latents, before the training; by default there are none."""

    @override
    def fit(
        self,
        latents: LatentSet,
        make_trainer: Callable[..., pl.Trainer] | None = None,
        resume_from: Path | None = None,
    ) -> None:
        """Train on the train latents and keep the weights that are best on the validation latents.

        The trainer's `default_root_dir` gets `best.ckpt` and `last.ckpt`, written at every validation.

        Args:
            latents: Latents and labels of both splits.
            make_trainer: Called with `max_steps`, `val_check_interval` and `callbacks`; None trains quietly on the CPU
                and keeps no checkpoint.
            resume_from: A `last.ckpt` to resume from.

        Raises:
            UserError: If the latents are not of this prior's spec.
        """
        for split in (latents.train, latents.val):
            expect(split.shape[1:] == self.spec.shape, "latents", f"shape {self.spec.shape}", tuple(split.shape[1:]))
        if make_trainer is None:
            with TemporaryDirectory() as folder:
                self.fit(latents, partial(_quiet_trainer, default_root_dir=folder), resume_from)
            return
        self.prepare(latents)
        self.steps = self.max_steps or self.model_steps
        device, monitor = self.device, f"prior/{self.name}/val_{self.loss_name}"
        checkpoint = ModelCheckpoint(monitor=monitor, filename="best", save_last=True, enable_version_counter=False)
        callbacks: list[pl.Callback] = [checkpoint, EarlyStopping(monitor, patience=self.patience)]
        if self.ema_decay:
            average = partial(_moving_average, decay=self.ema_decay)
            callbacks.insert(0, WeightAveraging(use_buffers=False, multi_avg_fn=average))
        trainer = make_trainer(max_steps=self.steps, val_check_interval=self.val_every_steps, callbacks=callbacks)
        checkpoint.dirpath = trainer.default_root_dir
        trainer.check_val_every_n_epoch = None  # validations are counted in steps, across epochs
        train = self._loader(trainer, latents.train, latents.train_labels, shuffle=True)
        val = self._loader(trainer, latents.val, latents.val_labels, shuffle=False)
        with seeded(mix(self.seed, trainer.global_rank)), warnings.catch_warnings():
            # The folder of a run is not empty, and that of a resumed run holds the checkpoints already.
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            trainer.fit(self, train, val, ckpt_path=resume_from)
        if checkpoint.best_model_path:  # none under `fast_dev_run`, and none without a validation
            self.load_state_dict(load_plain(Path(checkpoint.best_model_path))["state_dict"])
        self.to(device).eval()

    def _loader(self, trainer: pl.Trainer, *tensors: Tensor, shuffle: bool) -> DeviceLoader:
        on_device = tuple(tensor.to(trainer.strategy.root_device) for tensor in tensors)
        rank, world_size = trainer.global_rank, trainer.world_size
        return DeviceLoader(
            on_device, self.batch_size, seed=self.seed, shuffle=shuffle, rank=rank, world_size=world_size
        )

    def _losses(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        latents, labels = batch
        return self.losses(latents, labels if self.conditional else None)

    @override
    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = self._losses(batch).mean()
        self.train_means.add(self.global_step + 1, {f"prior/{self.name}/train_{self.loss_name}": loss})
        return loss

    @override
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        loss, size = self._losses(batch).mean(), len(batch[0])
        self.log(f"prior/{self.name}/val_{self.loss_name}", loss, prog_bar=True, batch_size=size, sync_dist=True)
        if isinstance(self.spec, CodeSpec):
            self.log(f"prior/{self.name}/val_bits", nats_to_bits(loss), batch_size=size, sync_dist=True)

    @override
    def configure_optimizers(self) -> Any:
        fused = not self.scales_gradients
        optimizer = torch.optim.AdamW(
            self.parameters(), self.learning_rate, weight_decay=self.weight_decay, fused=fused
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: warmup_cosine_factor(step, self.steps, WARMUP, final=0.0)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _moving_average(averages: list[Tensor], current: list[Tensor], count: Tensor, decay: float) -> None:
    """Update a ← d·a + (1 − d)·w with d = min(decay, (1 + n) / (10 + n)) after n updates: it forgets its start."""
    n = int(count)
    for average, weight in zip(averages, current, strict=True):
        average.lerp_(weight, 1 - min(decay, (1 + n) / (10 + n)))


def _quiet_trainer(**arguments: Any) -> pl.Trainer:
    silent: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(accelerator="cpu", devices=1, num_sanity_val_steps=0, **silent, **arguments)
