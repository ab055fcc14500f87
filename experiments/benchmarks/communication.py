"""What two processes say to each other at each step: calls and bytes, by kind.

python experiments/distributed/communication.py                     # every model, as aevq trains it
python experiments/distributed/communication.py --plain-lightning   # with Lightning's own signals and DDP's buffers

Counted by torch's profiler between the 20th and the 70th step, in the first of two processes joined by gloo: every
collective, those of DDP's gradients included. The bytes are those of a call's tensor, not what an algorithm sends on
the wire for it (a ring all_reduce of n processes sends 2(n−1)/n times as much); a call of a single number counts as
none. `floor` is the parameters that are trained, once a step, which no DDP without compression can do without.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from torch.profiler import ProfilerActivity, profile

from aevq.config.command_line import config_root
from aevq.config.instantiate import build
from aevq.training import fitting
from aevq.training.fitting import Trainers, to_plain

MODELS = ("ae", "vae", "vqvae", "vqvae model/codebook_update=gradient")
FIRST, LAST = 20, 70


class Count(pl.Callback):
    """Profiles the steps between two, and tells of the collectives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.profiler: profile | None = None

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
        """Begin."""
        if trainer.global_step == FIRST and trainer.is_global_zero:
            self.profiler = profile(activities=[ProfilerActivity.CPU], record_shapes=True)
            self.profiler.start()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
        """End."""
        if trainer.global_step == LAST and self.profiler is not None:
            self.profiler.stop()
            self.tell(module)

    def tell(self, module: pl.LightningModule) -> None:
        """Print a row for each kind of call."""
        calls: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for event in self.profiler.events():
            if event.name.startswith("gloo:"):
                kind = event.name.removeprefix("gloo:")
                calls[kind] += 1
                sizes[kind] += sum(torch.Size(shape).numel() for shape in event.input_shapes if shape)
        steps = LAST - FIRST
        floor = sum(p.numel() for p in module.parameters() if p.requires_grad)
        kinds = "; ".join(
            f"{kind} {calls[kind] / steps:.2f} calls, {4 * sizes[kind] / steps:,.0f} bytes" for kind in calls
        )
        total = 4 * sum(sizes.values()) / steps
        print(f"{self.name:38} {kinds}; together {total:,.0f} bytes, floor {4 * floor:,.0f}", flush=True)


def count(model: str, plain_lightning: bool) -> None:
    """Train one model by two processes."""
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        overrides = [f"model={model.split()[0]}", *model.split()[1:], "data=mnist5k", "trainer=ddp_sim"]
        plain = to_plain(compose("train", overrides))
    limits = {"max_steps": LAST + 5, "val_check_interval": 1000, "enable_progress_bar": False, "logger": False}
    trainer_config = plain["trainer"] | limits
    if plain_lightning:
        fitting.leave_signals_to_us = lambda trainer: None
        trainer_config["strategy"] = "ddp_find_unused_parameters_false"  # by this name it stays Lightning's own
    trainer_config.pop("logger")
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainers(trainer_config, plain).make(
            "", Path(folder) / "last.ckpt", [Count(model)], enable_checkpointing=False
        )
        trainer.fit(build(plain["model"]), datamodule=build(plain["data"]))


def main() -> None:
    """Each model in processes of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain-lightning", action="store_true")
    parser.add_argument("--model", help="this one only")
    options = parser.parse_args()
    if options.model:
        count(options.model, options.plain_lightning)
        return
    for model in MODELS:
        flags = ["--plain-lightning"] if options.plain_lightning else []
        command = [sys.executable, "-W", "ignore", __file__, *flags, "--model", model]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(done.stdout.strip() or done.stderr[-2000:], flush=True)


if __name__ == "__main__":
    main()
