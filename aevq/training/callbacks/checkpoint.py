"""Checkpoints that describe themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from typing_extensions import override

from aevq.ops.finite import expect_finite_weights

__all__ = ["Checkpoint", "SelfDescribing"]


class Checkpoint(ModelCheckpoint):
    """Lightning's, for folders that are moved and passed on: what it remembers of files is meant of its own folder.

    Lightning would forget which was the best, and delete what a stranger's checkpoint names as an older one.
    """

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        here = Path(str(self.dirpath))
        moved = state_dict | {
            name: str(here / Path(path).name) if path else ""
            for name in ("best_model_path", "kth_best_model_path", "last_model_path")
            if isinstance(path := state_dict.get(name), str)
        }
        best = {str(here / Path(path).name): score for path, score in state_dict.get("best_k_models", {}).items()}
        super().load_state_dict(moved | {"dirpath": self.dirpath, "best_k_models": best})


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
        expect_finite_weights(checkpoint["state_dict"], trainer.global_step)
        checkpoint["config"] = self.config
