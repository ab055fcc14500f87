"""Panels of images in the dashboards while a model trains."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor
from torchvision.utils import make_grid
from typing_extensions import override

from aevq.config.checks import Configurable, PositiveInt, Seed
from aevq.latents import VectorSpec
from aevq.metrics.generate import generate
from aevq.models import LatentModel
from aevq.priors import StandardNormal

__all__ = ["ReconstructionPanel", "SamplePanel"]

COLUMNS = 10


class ReconstructionPanel(Configurable, Callback):
    """After each validation, shows the same validation images above their reconstructions.

    Args:
        num_images: Columns of the panel.
    """

    def __init__(self, num_images: PositiveInt = 10) -> None:
        self.num_images = num_images

    @torch.no_grad()
    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not (_is_shown(trainer) and isinstance(pl_module, LatentModel)):
            return
        images = trainer.datamodule.images("val")  # type: ignore[attr-defined]  # Lightning sets it, untyped
        x = images[: self.num_images].to(pl_module.device)
        both = torch.cat([x, pl_module.reconstruct(x)])
        _show(trainer, "val/reconstructions", make_grid(both, nrow=self.num_images, pad_value=0.5).cpu())


class SamplePanel(Configurable, Callback):
    """After each validation, shows the images of the same z ~ N(0, I), for models whose latents are vectors.

    A prior over codes would have to be fitted first.

    Args:
        num_images: Samples, ten in a row.
        seed: Seed of z.
    """

    def __init__(self, num_images: PositiveInt = 20, seed: Seed = 0) -> None:
        self.num_images = num_images
        self.seed = seed

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not (_is_shown(trainer) and isinstance(pl_module, LatentModel)):
            return
        if isinstance(spec := pl_module.latent_spec, VectorSpec):
            images = generate(pl_module, StandardNormal(spec), self.num_images, self.seed)
            _show(trainer, "val/samples_standard_normal", make_grid(images, nrow=COLUMNS, pad_value=0.5))


def _is_shown(trainer: pl.Trainer) -> bool:
    dashboards = any(isinstance(logger, WandbLogger | TensorBoardLogger) for logger in trainer.loggers)
    return dashboards and trainer.is_global_zero and not trainer.sanity_checking


def _show(trainer: pl.Trainer, name: str, panel: Tensor) -> None:
    """Send a panel, `(3, H, W)` in [0, 1], to the dashboards."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [panel], step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, panel, trainer.global_step)
