"""Seconds a trained image: `aevq.train`'s loop, a bare loop, Lightning with torchvision's MNIST, pythae's trainer.

All of them train the same network with the same batch size; validation and checkpoints are outside of the windows that
are timed. Ours logs to metrics.csv and draws its progress bar, as a user runs it. Ours and the others have a process
each, because ours sets how memory is kept; only one of the two works at a time.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchmetrics import MeanMetric
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from aevq.config.instantiate import EVERYTHING, build
from aevq.config.terminal import quiet_libraries
from aevq.data import MNISTDataModule, to_unit
from aevq.models import LatentModel
from aevq.runs.run import Run
from aevq.training.allocator import keep_freed_memory
from aevq.training.fitting import Trainers, fit_model, to_plain
from aevq.training.loggers import MetricsCSV
from experiments.benchmarks.peers import pythae_model, pythae_seconds
from experiments.benchmarks.timing import Laps, Row, alternate, compare, silence

__all__ = ["CASES", "Case", "bare_loop", "matmul_share", "training_rows"]

WARMUP = 20  # steps


@dataclass(frozen=True, eq=False)
class Case:
    """A network and a loss.

    Attributes:
        name: Of the row.
        overrides: That make it from the configuration.
        steps: That are timed.
        targets: Ratios to reach, by name of the contender.
    """

    name: str
    overrides: tuple[str, ...]
    steps: int
    targets: dict[str, float]


BARE, TORCHVISION, PYTHAE = "a bare PyTorch loop", "Lightning + torchvision", "pythae"
MLP = ("model.network.hidden=[400,400]", "model.latent_dim=20")
PYTHAE_VQ = (
    "model=vqvae",
    "~model.network.channels",
    "~model.network.residual_blocks",
    "~model.network.decoder_residual_blocks",
    "~model.network.activation",
    "model.network._target_=peers.ResNet",
    "model.grid=[4,4]",
    "model.num_codes=256",
    "model.code_dim=16",
    "model.codebook_update.decay=0.99",
    "model.codebook_init=normal",
    "model.restart=null",
    "model.likelihood.sigma=0.7071",
    "data.batch_size=256",
)
CASES = (
    # So small that a step is mostly what the loop itself costs.
    Case("VAE, MLP 784-8-2", ("model=vae", "model.network.hidden=[8]", "model.latent_dim=2"), 1000, {}),
    Case("AE, MLP 784-400-400-20", ("model=ae", *MLP), 300, {PYTHAE: 1.25}),
    Case("VAE, MLP 784-400-400-20", ("model=vae", *MLP), 300, {BARE: 0.95, TORCHVISION: 2.0, PYTHAE: 1.25}),
    Case("VAE, conv 32-64", ("model=vae_conv",), 100, {BARE: 0.98, PYTHAE: 1.25}),
    Case("VQ-VAE, pythae's ResNet", PYTHAE_VQ, 30, {PYTHAE: 1.25}),
)


class Watch(pl.Callback):
    """Takes the laps of a Lightning Trainer."""

    sees_chunks = True

    def __init__(self, config: DictConfig) -> None:
        self.laps = Laps(_device(config), WARMUP)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Look at the clock."""
        self.laps.done(trainer.global_step)


def _device(config: DictConfig) -> torch.device:
    return torch.device("cuda" if config.trainer.accelerator == "gpu" else "cpu")


def training_rows(configs: Mapping[Case, DictConfig], repeats: int) -> Iterator[Row]:
    """One row for each case and contender."""
    with TemporaryDirectory() as folder, _process(True) as own, _process(False) as others:
        _write_idx(_data(next(iter(configs.values()))), Path(folder))
        for case, config in configs.items():
            contenders = {
                "aevq": partial(_run_in, own, ours, config, case.steps),
                BARE: partial(_run_in, others, bare_loop, config, case.steps),
                TORCHVISION: partial(_run_in, others, torchvision_loop, config, case.steps, folder),
                PYTHAE: partial(_run_in, others, pythae, config, case.steps),
            }
            rounds = list(alternate(contenders, repeats))
            yield from compare("training", case.name, rounds, "image", case.targets)


def _process(is_ours: bool) -> ProcessPoolExecutor:
    """A process of its own."""
    return ProcessPoolExecutor(1, get_context("spawn"), _begin, (is_ours, torch.get_num_threads()))


def _begin(is_ours: bool, threads: int) -> None:
    warnings.filterwarnings("ignore")
    quiet_libraries()
    torch.set_num_threads(threads)
    if is_ours:
        keep_freed_memory()


def _run_in(process: ProcessPoolExecutor, measure: Callable[..., float], *arguments: object) -> float:
    return process.submit(measure, *arguments).result()


def _data(config: DictConfig) -> MNISTDataModule:
    data: MNISTDataModule = build(config.data)
    data.prepare()
    return data


def ours(config: DictConfig, steps: int) -> float:
    """Seconds an image of `aevq.train`'s first stage."""
    pl.seed_everything(0, verbose=False)
    data, model = build(config.data), build(config.model, EVERYTHING)
    callbacks = [build(callback) for callback in config.callbacks.values()]
    watch = Watch(config)
    plain = to_plain(config)
    plain["trainer"] |= {"max_steps": WARMUP + steps, "val_check_interval": 10**9}
    with TemporaryDirectory() as folder, silence():
        trainers = Trainers(plain["trainer"], plain, [MetricsCSV(folder)])
        fit_model(model, data, Run(Path(folder)), trainers, [*callbacks, watch])
    return watch.laps.seconds / data.batch_size


def bare_loop(config: DictConfig, steps: int) -> float:
    """Seconds an image of the shortest loop: index a tensor, forward, backward, step."""
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)  # Lightning's, which slows an optimizer down
    data = _data(config)
    device = _device(config)
    model: LatentModel = build(config.model, EVERYTHING).train().to(device)
    optimizer = build(config.model.optimizer, params=[p for p in model.parameters() if p.requires_grad])
    x = to_unit(data.splits.train.images).to(device)
    laps, size, order = Laps(device, WARMUP), data.batch_size, torch.empty(0, dtype=torch.int64)
    for step in range(WARMUP + steps):
        if len(order) < size:
            order = torch.randperm(len(x), device=device)
        rows, order = order[:size], order[size:]
        loss = model.terms(x[rows]).objective.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.after_optimizer_step()
        laps.done(step + 1)
    return laps.seconds / size


class _Plain(pl.LightningModule):
    """A LightningModule as tutorials and templates write it."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model
        self.train_loss = MeanMetric()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        terms = self.model.terms(batch[0])
        loss = terms.objective.mean()
        self.train_loss(loss)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/distortion", terms.distortion.mean(), on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=1e-3)


def torchvision_loop(config: DictConfig, steps: int, root: str) -> float:
    """Seconds an image of Lightning over torchvision's MNIST in a DataLoader, without worker processes."""
    loader = DataLoader(MNIST(root, transform=ToTensor()), config.data.batch_size, shuffle=True)
    watch = Watch(config)
    with TemporaryDirectory() as folder, silence():
        trainer = pl.Trainer(
            accelerator=config.trainer.accelerator,
            devices=1,
            max_steps=WARMUP + steps,
            max_epochs=-1,
            logger=CSVLogger(folder),
            default_root_dir=folder,
            enable_checkpointing=False,
            callbacks=[watch],
        )
        trainer.fit(_Plain(build(config.model, EVERYTHING)), loader)
    return watch.laps.seconds / config.data.batch_size


def pythae(config: DictConfig, steps: int) -> float:
    """Seconds an image of pythae's trainer."""
    data = _data(config)
    images = to_unit(data.splits.train.images)
    wanted = (WARMUP + steps) * data.batch_size
    images = images.repeat(-(-wanted // len(images)), 1, 1, 1)[:wanted]
    model = pythae_model(build(config.model, EVERYTHING))
    return pythae_seconds(model, images, data.batch_size, Laps(_device(config), WARMUP))


def matmul_share(config: DictConfig, seconds_an_image: float, peak: float) -> float:
    """Floating point operations of a step, over those that a large matrix product does in the same time.

    Args:
        config: Of the case.
        seconds_an_image: That ours takes.
        peak: Operations a second of the matrix product.
    """
    model = build(config.model, EVERYTHING).train()
    with FlopCounterMode(display=False) as counter:
        model.terms(torch.rand(config.data.batch_size, 1, 28, 28)).objective.mean().backward()
    return counter.get_total_flops() / (config.data.batch_size * seconds_an_image * peak)


def _write_idx(data: MNISTDataModule, root: Path) -> None:
    """The train split as the files that torchvision's MNIST reads."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, split in (("train", data.splits.train), ("t10k", data.splits.test)):
        count = len(split).to_bytes(4, "big")
        sides = b"".join(side.to_bytes(4, "big") for side in split.images.shape[-2:])
        images = split.images.to(torch.uint8).numpy().tobytes()
        (raw / f"{name}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + count + sides + images)
        labels = split.labels.to(torch.uint8).numpy().tobytes()
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + count + labels)
