"""Checkpoints that describe themselves."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

__all__ = ["SelfDescribing"]


class SelfDescribing(Callback):
    """Puts the run's configuration, plain values, into every checkpoint.

    Args:
        config: The run's configuration; `config["model"]` builds the model again.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["config"] = self.config
