"""Weak scaling: two processes, each with a batch of its own, against what this machine gives two processes at all.

python experiments/distributed/weak_scaling.py

Three ways, in turn, so many times: one process; two that know nothing of each other (the machine's ideal: they share
memory bandwidth, caches and clock as two of one job do); two of one job, joined by DDP and gloo. Each has one thread
and trains on images of its own. Printed are the medians of images per second, and DDP's share of the ideal.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hydra import compose, initialize_config_dir

from aevq.config.command_line import config_root
from aevq.config.instantiate import build
from aevq.training.callbacks import Throughput
from aevq.training.fitting import Trainers, to_plain

MODELS = ("ae", "vae", "vqvae")
WAYS = {"one": 1, "two alone": 2, "ddp": 1}  # processes to be started; DDP starts its second itself


def worker(model: str, way: str, steps: int, batch: int) -> None:
    """Train, and print images per second, of all processes of a job together."""
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        trainer = "ddp_sim" if way == "ddp" else "cpu"
        # One optimizer step is one of Lightning's in all three: several processes cannot do otherwise.
        overrides = [f"model={model}", "data=mnist5k", f"trainer={trainer}", f"data.batch_size={batch}"]
        plain = to_plain(compose("train", overrides))
    limits = {"max_steps": steps, "val_check_interval": steps, "enable_progress_bar": False, "limit_val_batches": 0}
    speed = Throughput()
    with tempfile.TemporaryDirectory() as folder:
        trainers = Trainers(plain["trainer"] | limits, plain)
        fit = trainers.make("", Path(folder) / "last.ckpt", [speed], enable_checkpointing=False)
        fit.fit(build(plain["model"]), datamodule=build(plain["data"]))
    if fit.is_global_zero:
        print(f"images_per_second {speed.images_per_second}")


def measure(way: str, arguments: list[str]) -> float:
    """Images per second of one of the ways."""
    command = [sys.executable, "-W", "ignore", __file__, "--way", way, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(WAYS[way])
    ]
    said = [process.communicate()[0] for process in started]
    return sum(float(line.split()[1]) for out in said for line in out.splitlines() if line.startswith("images_per"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--model", choices=MODELS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=128, help="of each process")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.way:
        worker(options.model, options.way, options.steps, options.batch)
        return
    for model in [options.model] if options.model else MODELS:
        arguments = ["--model", model, "--steps", str(options.steps), "--batch", str(options.batch)]
        speeds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(options.repeats):
            for way in WAYS:
                speeds[way].append(measure(way, arguments))
        shares = [ddp / ideal for ddp, ideal in zip(speeds["ddp"], speeds["two alone"], strict=True)]
        medians = ", ".join(f"{way} {statistics.median(values):,.0f}" for way, values in speeds.items())
        spread = f"{min(shares):.2f} to {max(shares):.2f}"
        print(f"{model:6} {medians} images/s; DDP {statistics.median(shares):.2f} of two alone ({spread})", flush=True)


if __name__ == "__main__":
    main()
