"""Callbacks that end a training as no training should end."""

from __future__ import annotations

import os
import signal

from pytorch_lightning import Callback


class Misbehave(Callback):
    """Does it after the first validation, once: a file beside the run says that it was done."""

    def __init__(self, how: str, once: str) -> None:
        self.how, self.once = how, once

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step != 3 or os.path.exists(self.once):
            return
        with open(self.once, "w"):
            pass
        if self.how == "raise":
            raise RuntimeError("no good")
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "exit":
            print("goodbye", flush=True)
            os._exit(1)
