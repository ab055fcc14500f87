"""How fast a training goes, without slowing it: a window is timed, never a step."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

from aevq.ops.schedule import passed

__all__ = ["Throughput"]


class Throughput(Callback):
    """Counts images and seconds of training, validation and checkpoints left out; logs images per second.

    Attributes:
        images: Images trained on so far, over all ranks.
        seconds: Time spent on them.
    """

    def __init__(self) -> None:
        self.images = 0
        self.seconds = 0.0
        self._window_images = 0
        self._window_start: float | None = None
        self._step = 0

    @property
    def images_per_second(self) -> float:
        """Mean over the whole training."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"images": self.images, "seconds": self.seconds}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.images, self.seconds = state_dict["images"], state_dict["seconds"]

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._window_start is None:
            self._window_start = time.perf_counter()
        self._step = trainer.global_step

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._window_images += len(batch[0]) * trainer.world_size
        if passed(trainer.log_every_n_steps, self._step, trainer.global_step):  # type: ignore[attr-defined]
            rate = self._close_window(pl_module.device)
            for logger in trainer.loggers:
                logger.log_metrics({"train/images_per_second": rate}, trainer.global_step - 1)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close_window(pl_module.device)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close_window(pl_module.device)

    def _close_window(self, device: torch.device) -> float:
        """Add the window to the totals; its images per second."""
        if self._window_start is None:
            return 0.0
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - self._window_start
        images, self._window_images, self._window_start = self._window_images, 0, None
        self.images += images
        self.seconds += seconds
        return images / seconds
