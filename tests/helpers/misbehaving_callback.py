"""A callback that ends a training in the middle."""

import os
import signal
from pathlib import Path

from pytorch_lightning import Callback


class MisbehavingCallback(Callback):
    """Ends the training after the first validation, once: a file in `folder` records that it has done so.

    Args:
        how: raise, kill or exit, by the seeds of the runs that shall end so.
        seed: Seed of this run.
        folder: Folder of the files.
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
