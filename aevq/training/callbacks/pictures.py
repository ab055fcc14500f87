"""Panels of pictures in the dashboards while a model trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from torchvision.utils import make_grid
from typing_extensions import override

from aevq.config.schema import Count, Seed, checked
from aevq.latents import VectorSpec
from aevq.metrics.generate import generate
from aevq.priors import StandardNormal

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.models import LatentModel
    from aevq.priors import Prior

__all__ = ["ReconstructionPanel", "SamplePanel"]

COLUMNS = 10


@checked("callbacks.reconstruction_panel")
class ReconstructionPanel(Callback):
    """After each validation, shows the same validation images above their reconstructions.

    Args:
        num_images: Columns of the panel.
    """

    def __init__(self, num_images: Count) -> None:
        self.num_images = num_images

    @torch.no_grad()
    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not _is_shown(trainer):
            return
        x = trainer.datamodule.images("val")[: self.num_images].to(pl_module.device)  # type: ignore[attr-defined]
        images = torch.cat([x, cast("LatentModel", pl_module).reconstruct(x)])
        _show(trainer, "val/reconstructions", make_grid(images, nrow=self.num_images, pad_value=0.5).cpu())


@checked("callbacks.sample_panel")
class SamplePanel(Callback):
    """After each validation, shows what the same z ~ N(0, I) decode to, for models whose latents are vectors.

    A prior of codes would have to be fitted first.

    Args:
        num_images: Samples, ten in a row.
        seed: Of z.
    """

    def __init__(self, num_images: Count, seed: Seed) -> None:
        self.num_images = num_images
        self.seed = seed

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        model = cast("LatentModel", pl_module)
        spec = model.latent_spec
        if not (_is_shown(trainer) and isinstance(spec, VectorSpec)):
            return
        images = generate(model, cast("Prior", StandardNormal(spec)), self.num_images, self.seed)
        _show(trainer, "val/samples_standard_normal", make_grid(images, nrow=COLUMNS, pad_value=0.5))


def _is_shown(trainer: pl.Trainer) -> bool:
    dashboards = any(isinstance(logger, WandbLogger | TensorBoardLogger) for logger in trainer.loggers)
    return dashboards and trainer.is_global_zero and not trainer.sanity_checking


def _show(trainer: pl.Trainer, name: str, panel: Tensor) -> None:
    """Put a panel, `(3, H, W)` in [0, 1], into the dashboards."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [panel], step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, panel, trainer.global_step)
