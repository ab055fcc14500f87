"""Seconds per trained image: `aevq.train`'s loop, a bare loop, Lightning with torchvision's MNIST, pythae's trainer.

All of them train the same network with the same batch size; validation and checkpoints are outside the windows that
are timed. aevq logs to metrics.csv and draws its progress bar, as a user runs it. aevq and the others have a process
each, because aevq changes how memory is kept; only one of the two works at a time.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
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

from aevq.config.terminal import quiet_libraries
from aevq.data import MNISTDataModule, to_unit
from aevq.metrics.protocol import EvaluationSettings
from aevq.models import LatentModel
from aevq.report.plots import PlotSettings
from aevq.runs.run import Run
from aevq.training.allocator import keep_freed_memory
from aevq.training.fit import fit_model, model_trainer
from aevq.training.loggers import MetricsCSV
from aevq.training.parts import Parts, to_plain
from aevq.training.trainer import Trainers
from experiments.benchmarks.cases import BARE, PYTHAE, TORCHVISION, Case
from experiments.benchmarks.timing import Laps, Row, alternate, compare, silence
from experiments.common.configuration import make

Contender = Callable[[DictConfig, int], float]  # (configuration, timed steps) → seconds per image


class LapTimes(pl.Callback):
    """Takes the lap times of a Lightning Trainer."""

    def __init__(self, laps: Laps) -> None:
        self.laps = laps

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the step."""
        self.laps.done(trainer.global_step)


def _device(config: DictConfig) -> torch.device:
    return torch.device("cuda" if config.trainer.accelerator == "gpu" else "cpu")


def training_rows(configs: Mapping[Case, DictConfig], repeats: int, steps: int | None = None) -> Iterator[Row]:
    """Yield one row for each case and contender, from `repeats` pairs of `steps` timed steps, by default the case's."""
    with _process(True) as own, _process(False) as others:
        for case, config in configs.items():
            measures = {
                name: partial(_run_in, own if name == "aevq" else others, contender, config, steps or case.steps)
                for name, contender in contenders().items()
            }
            yield from compare("training", case.name, alternate(measures, repeats), "image", case.targets)


def _run_in(process: ProcessPoolExecutor, contender: Contender, config: DictConfig, steps: int) -> float:
    return process.submit(contender, config, steps).result()


def contenders() -> dict[str, Contender]:
    """Return aevq and what it is compared with, pythae only where it is installed."""
    found: dict[str, Contender] = {"aevq": ours, BARE: bare_loop, TORCHVISION: torchvision}
    return found | ({PYTHAE: pythae} if find_spec("pythae") else {})


def _process(is_ours: bool) -> ProcessPoolExecutor:
    """Return a pool of one process."""
    return ProcessPoolExecutor(1, get_context("spawn"), _begin, (is_ours, torch.get_num_threads()))


def _begin(is_ours: bool, threads: int) -> None:
    warnings.filterwarnings("ignore")
    quiet_libraries()
    torch.set_num_threads(threads)
    if is_ours:
        keep_freed_memory()


def _data(config: DictConfig) -> MNISTDataModule:
    data: MNISTDataModule = make(config.data)
    data.prepare()
    return data


def fit(
    model: LatentModel, data: MNISTDataModule, config: DictConfig, folder: str, callbacks: list[Any], **trainer: Any
) -> None:
    """Run the first stage of `aevq.train` in a folder; `trainer` are arguments that differ from the configuration."""
    run, plain, logger = Path(folder), to_plain(config), MetricsCSV()
    run.mkdir(parents=True, exist_ok=True)
    logger.start(run, plain, ())
    trainers = Trainers(plain["trainer"] | {"val_check_interval": 10**9} | trainer, loggers=[logger])
    parts = Parts(plain, data, model, {}, callbacks, trainers, EvaluationSettings(), PlotSettings())
    fit_model(model_trainer(parts), parts, Run(run))


def ours(config: DictConfig, steps: int) -> float:
    """Return seconds per image of `aevq.train`'s first stage."""
    pl.seed_everything(0, verbose=False)
    data, model = make(config.data), make(config.model)
    laps = Laps(_device(config), steps)
    callbacks = [*(make(callback) for callback in config.callbacks.values()), LapTimes(laps)]
    with TemporaryDirectory() as folder, silence():
        fit(model, data, config, folder, callbacks, max_steps=laps.total)
    return laps.seconds / data.batch_size


def bare_loop(config: DictConfig, steps: int) -> float:
    """Return seconds per image of the shortest loop: index a tensor, forward, backward, step."""
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)  # set by Lightning; it slows an optimizer down
    data = _data(config)
    laps = Laps(_device(config), steps)
    model: LatentModel = make(config.model).train().to(laps.device)
    optimizer = make(config.model.optimizer, params=[p for p in model.parameters() if p.requires_grad])
    x = to_unit(data.splits.train.images).to(laps.device)
    size, order = data.batch_size, torch.empty(0, dtype=torch.int64)
    for step in range(laps.total):
        if len(order) < size:
            order = torch.randperm(len(x), device=laps.device)
        rows, order = order[:size], order[size:]
        loss = model.loss_terms(x[rows]).objective.mean()
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
        terms = self.model.loss_terms(batch[0])
        loss = terms.objective.mean()
        self.train_loss(loss)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/distortion", terms.distortion.mean(), on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=1e-3)


class _TorchvisionMNIST(MNIST):
    """torchvision's MNIST with our train images instead of files."""

    def __init__(self, data: MNISTDataModule) -> None:
        self.data, self.targets = data.splits.train.images.squeeze(1), data.splits.train.labels
        self.transform, self.target_transform = ToTensor(), None


def torchvision(config: DictConfig, steps: int) -> float:
    """Return seconds per image of Lightning over torchvision's MNIST in a DataLoader, without worker processes."""
    loader = DataLoader(_TorchvisionMNIST(_data(config)), config.data.batch_size, shuffle=True)
    laps = Laps(_device(config), steps)
    with TemporaryDirectory() as folder, silence():
        device = {"accelerator": config.trainer.accelerator, "devices": 1}
        limits = {"max_steps": laps.total, "max_epochs": -1, "enable_checkpointing": False}
        logger, callbacks = CSVLogger(folder), [LapTimes(laps)]
        trainer = pl.Trainer(**device, **limits, logger=logger, default_root_dir=folder, callbacks=callbacks)
        trainer.fit(_Plain(make(config.model)), loader)
    return laps.seconds / config.data.batch_size


def pythae(config: DictConfig, steps: int) -> float:
    """Return seconds per image of pythae's trainer."""
    from experiments.benchmarks.peers import pythae_model, pythae_seconds

    data, laps = _data(config), Laps(_device(config), steps)
    images = to_unit(data.splits.train.images)
    wanted = laps.total * data.batch_size
    images = images.repeat(-(-wanted // len(images)), 1, 1, 1)[:wanted]
    return pythae_seconds(pythae_model(make(config.model)), images, data.batch_size, laps)


def matmul_share(config: DictConfig, seconds_per_image: float, peak: float) -> float:
    """Return the floating point operations of a step over those of a large matrix product in the same time.

    `peak` is the number of operations per second of the matrix product.
    """
    model = make(config.model).train()
    with FlopCounterMode(display=False) as counter:
        model.loss_terms(torch.rand(config.data.batch_size, 1, 28, 28)).objective.mean().backward()
    return counter.get_total_flops() / (config.data.batch_size * seconds_per_image * peak)
