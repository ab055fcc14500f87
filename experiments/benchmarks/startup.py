"""Seconds that a command takes before its first step and after its last, beside the import time of its libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl

from experiments.benchmarks.timing import Row, alternate, compare, seconds_of

__all__ = ["Stamps", "startup_rows", "training_seconds"]

IMPORTS = "importing torch, Lightning and Hydra"


class Stamps(pl.Callback):
    """Writes the time of day at the first and after the last training step into a file.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the time of the first step."""
        if not self.path.exists():
            self.path.write_text(json.dumps([time.time()]))

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the time at which the training ends."""
        self.path.write_text(json.dumps([*json.loads(self.path.read_text()), time.time()]))


def startup_rows(repeats: int) -> Iterator[Row]:
    """Yield the row of `--help` against the imports that any such command needs."""
    measures = {
        "aevq": partial(_seconds, "-m", "aevq.train", "--help"),
        IMPORTS: partial(_seconds, "-c", "import torch, pytorch_lightning, hydra"),
    }
    rounds = list(alternate(measures, repeats, warmup=1))
    yield from compare("start-up", "python -m aevq.train --help", rounds, "command", {IMPORTS: 1 / 1.3})


def training_seconds(overrides: Sequence[str]) -> dict[str, float]:
    """Return the seconds of a command of 20 steps: up to the first step, and from the last step to the end."""
    with TemporaryDirectory() as folder:
        stamps = Path(folder) / "stamps"
        start = time.time()
        _seconds(
            *("-m", "aevq.train", "model=vae", "trainer.max_steps=20", "trainer.val_check_interval=20"),
            *("logger=none", f"paths.runs={folder}/runs", "evaluation.samples=0", "pictures.map_points=100"),
            f"+callbacks.stamps={{_target_: {__name__}.Stamps, path: {stamps}}}",
            *overrides,
        )
        end = time.time()
        first, last = json.loads(stamps.read_text())
    return {"to the first step": first - start, "after the last step": end - last}


def _seconds(*arguments: str) -> float:
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    command, environment = [sys.executable, *arguments], os.environ | {"PYTHONPATH": path}
    return seconds_of(partial(subprocess.run, command, check=True, capture_output=True, env=environment))
