"""Panels of pictures in the dashboards while a model trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from torchvision.utils import make_grid
from typing_extensions import override

from aevq.errors import expect_int

if TYPE_CHECKING:
    from aevq.models import LatentModel

__all__ = ["ReconstructionPanel"]


class ReconstructionPanel(Callback):
    """After each validation, shows the same validation images above their reconstructions.

    Args:
        num_images: Columns of the panel.
    """

    def __init__(self, num_images: int) -> None:
        expect_int("callbacks.reconstruction_panel.num_images", num_images, 1)
        self.num_images = num_images

    @torch.no_grad()
    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero or not trainer.loggers:
            return
        x = trainer.datamodule.images("val")[: self.num_images].to(pl_module.device)  # type: ignore[attr-defined]
        panel = make_grid(
            torch.cat([x, cast("LatentModel", pl_module).reconstruct(x)]), nrow=self.num_images, pad_value=0.5
        ).cpu()
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("val/reconstructions", [panel], step=trainer.global_step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("val/reconstructions", panel, trainer.global_step)
