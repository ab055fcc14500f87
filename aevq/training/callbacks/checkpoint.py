"""Checkpoints that can be moved, that are complete, and that hold no weight which is not finite."""

import io
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from typing_extensions import override

from aevq.files import atomic_write, load_plain
from aevq.ops.finite import check_finite_weights


class Checkpoint(ModelCheckpoint):
    """Lightning's callback for folders that are moved and shared: paths in its state mean files of its own folder.

    Lightning would forget which checkpoint was the best, and delete the file that a foreign checkpoint names.
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


class CheckpointContent(Callback):
    """Checks the weights that are saved and adds the plain values `content` to each checkpoint."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        check_finite_weights(checkpoint["state_dict"], trainer.global_step)
        checkpoint.update(self.content)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint as a whole or not at all, and reads tensors and plain values only.

    A process that is killed while it saves leaves the previous checkpoint as it was.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, content.getvalue())

    @override
    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return load_plain(Path(path), map_location)
