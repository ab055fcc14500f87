"""Callbacks that end a training as no training should end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from pytorch_lightning import Callback


class Misbehave(Callback):
    """Does it after the first validation, once: a file in `folder` says that it was done.

    Args:
        how: raise, kill or exit, by the seeds of the runs that shall end so.
        seed: Of this run.
        folder: Of the files.
    """

    def __init__(self, how: dict[int, str], seed: int, folder: str) -> None:
        self.how = how.get(seed)
        self.done = Path(folder) / f"done_{seed}"

    def on_train_batch_end(self, trainer, *_):
        if self.how is None or trainer.global_step != 3 or self.done.exists():
            return
        self.done.touch()
        if self.how == "raise":
            raise RuntimeError("no good")
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "exit":
            print("goodbye", flush=True)
            os._exit(1)
