"""Which sweep this process has run: Hydra calls no hook at the end of one in which a job failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from typing_extensions import override

__all__ = ["RememberSweep"]


class RememberSweep(Callback):
    """Remembers the folder of the sweep that begins.

    Attributes:
        folder: Of the sweep; None where this process has run none.
    """

    folder: ClassVar[Path | None] = None

    @override
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        RememberSweep.folder = Path(str(config.hydra.sweep.dir)).absolute()
