"""What two processes of one job exchange in each step, and how much speed they lose by it.

python -m experiments.benchmarks.distributed communication                    # calls and bytes, as aevq trains
python -m experiments.benchmarks.distributed communication --plain-lightning  # with Lightning's signals, DDP's buffers
python -m experiments.benchmarks.distributed weak-scaling --repeats 5         # images per second

`communication` counts by torch's profiler, from the 20th to the 70th step, in the first of two processes joined by
gloo: every collective, including those of DDP's gradients. The bytes are those of a call's tensor, not what an
algorithm sends for it (a ring all_reduce of n processes sends 2(n−1)/n times as much); a call with a single number
counts as 0 bytes. For comparison it prints the bytes of the gradients, once per step, which DDP cannot do without
unless it compresses.

`weak-scaling` trains in three ways, alternating: one process; two independent processes (the ideal on this machine:
they share memory bandwidth, caches and clock as two of one job do); two processes of one job, joined by DDP and gloo.
Each has one thread and a batch of its own. It prints the medians of images per second, and DDP's share of the ideal.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from torch.profiler import ProfilerActivity, profile

from aevq.training import trainer as aevq_trainer
from aevq.training.callbacks import Throughput
from experiments.benchmarks.training import fit
from experiments.common.configuration import compose_config, make

MODELS, BY_GRADIENT = ("ae", "vae", "vqvae"), "vqvae model/codebook_update=gradient"
WAYS = {"one": 1, "two alone": 2, "ddp": 1}  # processes to start; DDP starts its second one itself


class CountCollectives(pl.Callback):
    """Profiles `window` steps after the step `first`, and prints their collectives."""

    def __init__(self, name: str, first: int, window: int) -> None:
        self.name, self.first, self.window = name, first, window
        self.profiler: profile | None = None

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
        """Start the window."""
        if trainer.global_step == self.first and trainer.is_global_zero:
            self.profiler = profile(activities=[ProfilerActivity.CPU], record_shapes=True)
            self.profiler.start()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
        """End the window, and print calls and bytes per step of each kind of call."""
        if trainer.global_step != self.first + self.window or self.profiler is None:
            return
        self.profiler.stop()
        calls: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for event in self.profiler.events() or []:
            if event.name.startswith("gloo:"):
                kind = event.name.removeprefix("gloo:")
                calls[kind] += 1
                sizes[kind] += 4 * sum(torch.Size(shape).numel() for shape in event.input_shapes if shape)
        kinds = [f"{k} {n / self.window:.2f} calls, {sizes[k] / self.window:,.0f} bytes" for k, n in calls.items()]
        gradients = 4 * sum(p.numel() for p in module.parameters() if p.requires_grad)
        total = f"in all {sum(sizes.values()) / self.window:,.0f} bytes, gradients {gradients:,.0f} bytes"
        print(f"{self.name:38} {'; '.join([*kinds, total])}", flush=True)


def worker(options: argparse.Namespace) -> None:
    """Train as one process, without validation, and print what it measured."""
    counting = options.command == "communication"
    callback = CountCollectives(options.model, options.steps, options.window) if counting else Throughput()
    limits = {"max_steps": options.steps, "enable_progress_bar": False, "limit_val_batches": 0}
    if counting:
        limits["max_steps"] += options.window + 5
    if options.plain_lightning:
        aevq_trainer.disable_signal_handlers = lambda trainer: None
        limits["strategy"] = "ddp_find_unused_parameters_false"  # under this name it stays Lightning's own
    trainer = "ddp_sim" if options.way == "ddp" else "cpu"
    overrides = ["data=mnist5k", f"trainer={trainer}", f"data.batch_size={options.batch}"]
    config = compose_config(*f"model={options.model}".split(), *overrides)
    fit(make(config.model), make(config.data), config, options.folder, [callback], **limits)
    if isinstance(callback, Throughput) and os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"images_per_second {callback.images_per_second}")


def start(count: int, arguments: Sequence[str]) -> str:
    """Start `count` workers at the same time, and return what they printed."""
    command = [sys.executable, "-W", "ignore", "-m", "experiments.benchmarks.distributed", *arguments]
    environment, pipes = os.environ | {"OMP_NUM_THREADS": "1"}, {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with TemporaryDirectory() as folder:
        commands = [[*command, "--folder", f"{folder}/{i}"] for i in range(count)]
        processes = [subprocess.Popen(each, env=environment, text=True, **pipes) for each in commands]
        printed = [process.communicate() for process in processes]
    for process, (_, error) in zip(processes, printed, strict=True):
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{error[-2000:]}")
    return "".join(out for out, _ in printed)


def weak_scaling(model: str, repeats: int, arguments: Sequence[str]) -> str:
    """Return the medians of images per second, and DDP's share of two independent processes."""
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, count in WAYS.items():
            lines = start(count, [*arguments, "--way", way]).splitlines()
            speeds[way].append(sum(float(line.split()[1]) for line in lines if line.startswith("images_per_second")))
    shares = [ddp / ideal for ddp, ideal in zip(speeds["ddp"], speeds["two alone"], strict=True)]
    medians = ", ".join(f"{way} {statistics.median(values):,.0f}" for way, values in speeds.items())
    spread = f"{min(shares):.2f} to {max(shares):.2f}"
    return f"{model:6} {medians} images/s; DDP {statistics.median(shares):.2f} of two alone ({spread})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("communication", "weak-scaling"))
    parser.add_argument("--plain-lightning", action="store_true", help="of communication")
    parser.add_argument("--repeats", type=int, default=3, help="of weak-scaling")
    parser.add_argument("--steps", type=int, help="before the window (20), or of each training of weak-scaling (300)")
    parser.add_argument("--window", type=int, default=50, help="steps that communication counts in")
    parser.add_argument("--batch", type=int, default=128, help="batch size of each process")
    parser.add_argument("--model", help="one model only, for example vae")
    parser.add_argument("--way", choices=WAYS, default="ddp", help=argparse.SUPPRESS)  # of a worker
    parser.add_argument("--folder", help=argparse.SUPPRESS)  # of a worker
    options = parser.parse_args()
    communication = options.command == "communication"
    options.steps = options.steps or (20 if communication else 300)
    if options.folder:
        worker(options)
        return
    for model in [options.model] if options.model else [*MODELS, *([BY_GRADIENT] if communication else [])]:
        arguments = [options.command, "--model", model, *(["--plain-lightning"] if options.plain_lightning else [])]
        arguments += [f"--{name}={getattr(options, name)}" for name in ("steps", "window", "batch")]
        found = start(1, arguments).strip() if communication else weak_scaling(model, options.repeats, arguments)
        print(found, flush=True)


if __name__ == "__main__":
    main()
