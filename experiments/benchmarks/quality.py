"""Quality over training time: ours with its defaults, and pythae with its own, on the same machine and images.

python -m experiments.benchmarks.quality data.root=../data

Writes quality.json and quality.png beside this file, and a table into README.md. The clock stands still while a model
is judged; both are judged by the same code. Further arguments are overrides of ours.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure
from omegaconf import DictConfig
from pythae.data.datasets import BaseDataset
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor
from torch.nn import functional as F

from aevq.config.command_line import config_root
from aevq.config.instantiate import build
from aevq.config.terminal import quiet_libraries
from aevq.data import MNISTDataModule
from aevq.metrics.samples import features_of
from aevq.models import VAE, LatentModel
from aevq.nn.feature_net import load_feature_net
from aevq.ops.distance import frechet_distance, moments
from aevq.ops.importance import importance_bound, log_weights
from aevq.runs.run import Run
from aevq.training.fitting import Trainers, fit_model, to_plain
from experiments.common.readme import put
from experiments.benchmarks.peers import Encoded, pythae_default
from experiments.benchmarks.timing import silence

HERE = Path(__file__).parent
OURS, THEIRS = "aevq", "pythae"
SAMPLES, IMPORTANCE_SAMPLES, IMAGES = 2000, 50, 500

Encode, Decode = Callable[[Tensor], Encoded], Callable[[Tensor], Tensor]
Judge = Callable[[Encode, Decode], float]


@dataclass(frozen=True)
class Race:
    """A figure that both models bring down.

    Attributes:
        figure: Its name.
        model: pythae's, `AE` or `VAE`.
        loss: pythae's, `mse` or `bce`.
        overrides: Of ours.
        judge: Makes the function that takes a model's figure.
    """

    figure: str
    model: str
    loss: str
    overrides: tuple[str, ...]
    judge: Callable[[MNISTDataModule], Judge]


@dataclass
class Clock:
    """Seconds of training, and the figure at some of them.

    Attributes:
        measure: Takes the figure.
        interval: Seconds between two looks.
        points: (seconds, figure).
    """

    measure: Callable[[], float]
    interval: float
    points: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    since: float | None = None

    def tick(self, always: bool = False) -> None:
        """A step was done."""
        now = time.perf_counter()
        self.seconds += now - self.since if self.since is not None else 0.0
        if always or not self.points or self.seconds >= self.points[-1][0] + self.interval:
            self.points.append((self.seconds, self.measure()))
        self.since = time.perf_counter()


def mse(data: MNISTDataModule) -> Judge:
    """Mean squared error of the validation images."""
    x = data.images("val")
    return lambda encode, decode: (decode(encode(x).mu) - x).square().mean().item()


def nll(data: MNISTDataModule) -> Judge:
    """Importance-weighted bound of 500 binary test images, S = 50, nats."""
    x = data.images("test")[:IMAGES]

    def judge(encode: Encode, decode: Decode) -> float:
        def log_likelihood(z: Tensor) -> Tensor:
            images = decode(z.flatten(0, 1)).flatten(1).clamp(1e-6, 1 - 1e-6)
            bce = F.binary_cross_entropy(images, x.flatten(1).repeat(len(z), 1), reduction="none").sum(1)
            return -bce.view(len(z), len(x))

        q = encode(x)
        log_w = log_weights(q.mu, q.log_var, log_likelihood, IMPORTANCE_SAMPLES, torch.Generator().manual_seed(0))
        return -importance_bound(log_w).mean().item()

    return judge


def fd(data: MNISTDataModule) -> Judge:
    """Fréchet distance of 2,000 samples, z ~ N(0, I), to the test images."""
    net = load_feature_net()
    test = moments(features_of(net, data.images("test")))

    def judge(encode: Encode, decode: Decode) -> float:
        z = torch.randn(SAMPLES, encode(data.images("val")[:1]).mu.shape[1], generator=torch.Generator().manual_seed(0))
        return frechet_distance(moments(features_of(net, decode(z))), test)

    return judge


RACES = (
    Race("reconstruction MSE", "AE", "mse", ("model=ae",), mse),
    Race(
        "NLL, nats",
        "VAE",
        "bce",
        ("model=vae", "model/likelihood=bernoulli", "data.binarize=dynamic"),
        nll,
    ),
    Race("fd of samples from N(0, I)", "VAE", "mse", ("model=vae",), fd),
)


class _Ours(pl.Callback):
    sees_chunks = True

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_start(self, *_: Any) -> None:
        self.clock.since = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.clock.tick(always=trainer.global_step == trainer.max_steps)


def ours(race: Race, config: DictConfig, interval: float) -> list[tuple[float, float]]:
    """The curve of a default training."""
    pl.seed_everything(0, verbose=False)
    data, model = build(config.data), build(config.model)
    data.prepare()
    judge = race.judge(data)
    clock = Clock(_judged(model, lambda: judge(_encode_with(model), model.decode)), interval)
    plain = to_plain(config)
    plain["trainer"]["val_check_interval"] = 10**9
    with TemporaryDirectory() as folder, silence():
        fit_model(model, data, Run(Path(folder)), Trainers(plain["trainer"], plain), [_Ours(clock)])
    return clock.points


def _encode_with(model: LatentModel) -> Encode:
    def encode(x: Tensor) -> Encoded:
        if isinstance(model, VAE):
            q = model.posterior(x)
            return Encoded(q.mu, q.log_var)
        return Encoded(model.encode(x), torch.zeros(()))

    return encode


def _judged(model: torch.nn.Module, judge: Callable[[], float]) -> Callable[[], float]:
    """In eval mode, without gradients, and without a trace in the noise of the training."""

    def measure() -> float:
        model.eval()
        with torch.no_grad(), torch.random.fork_rng():
            value = judge()
        model.train()
        return value

    return measure


class _Enough(Exception):
    """Their time is up."""


class _Theirs(TrainingCallback):
    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def on_train_step_begin(self, *_: object, **__: object) -> None:
        self.clock.since = self.clock.since or time.perf_counter()

    def on_train_step_end(self, *_: object, **__: object) -> None:
        self.clock.tick()
        if self.clock.seconds > self.seconds:
            raise _Enough


def theirs(race: Race, config: DictConfig, interval: float, seconds: float) -> list[tuple[float, float]]:
    """The curve of pythae's default network and trainer with our latent dimension."""
    torch.manual_seed(0)
    data = build(config.data)
    data.prepare()
    judge = race.judge(data)
    model, encode, decode = pythae_default(race.model, race.loss, config.model.latent_dim)
    clock = Clock(_judged(model, lambda: judge(encode, decode)), interval)
    images = data.images("train")
    with TemporaryDirectory() as folder, silence():
        settings = BaseTrainerConfig(output_dir=folder, no_cuda=True)
        trainer = BaseTrainer(
            model,
            BaseDataset(images, torch.zeros(len(images))),
            training_config=settings,
            callbacks=[_Theirs(clock, seconds)],
        )
        with suppress(_Enough):
            trainer.train()
    return clock.points


def main() -> None:
    """Race, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="of the configuration, say data.root=…")
    parser.add_argument("--seconds", type=float, default=120, help="that pythae trains for")
    parser.add_argument("--interval", type=float, default=2, help="seconds between two looks")
    options = parser.parse_intermixed_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    quiet_libraries()
    curves = {}
    for race in RACES:
        with initialize_config_dir(str(config_root()), version_base="1.3"):
            config = compose("train", ["trainer=cpu", *options.overrides, *race.overrides])
        print(f"{race.figure}: ours …", flush=True)
        mine = ours(race, config, options.interval)
        print(f"{race.figure}: pythae, {options.seconds:.0f} s …", flush=True)
        curves[race.figure] = {OURS: mine, THEIRS: theirs(race, config, options.interval, options.seconds)}
    (HERE / "quality.json").write_text(json.dumps(curves, indent=1) + "\n")
    draw(curves)
    put(HERE / "README.md", "quality", table(curves))
    print(table(curves))


def table(curves: dict[str, dict[str, list[tuple[float, float]]]]) -> str:
    """What ours reaches, and when pythae gets there, as Markdown."""
    lines = ["| figure | ours | after | pythae after as long | pythae gets there after |", "|" + "---|" * 5]
    for figure, curve in curves.items():
        seconds, value = curve[OURS][-1]
        then = [v for s, v in curve[THEIRS] if s <= seconds]
        there = next((f"{s:.0f} s" for s, v in curve[THEIRS] if v <= value), None)
        last_seconds, last = curve[THEIRS][-1]
        reached = there or f"not in {last_seconds:.0f} s ({last:.3g})"
        lines.append(f"| {figure} | **{value:.3g}** | {seconds:.0f} s | {then[-1]:.3g} | {reached} |")
    return "\n".join(lines)


def draw(curves: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    """One panel a figure, logarithmic in both directions."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axes, (name, curve) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        for contender, colour in ((OURS, "#2a6f97"), (THEIRS, "#d1495b")):
            points = [(s, v) for s, v in curve[contender] if s > 0.1]
            axes.plot(*zip(*points, strict=True), color=colour, label=contender)
        axes.set(xscale="log", yscale="log", xlabel="seconds of training", title=name)
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].legend()
    figure.savefig(HERE / "quality.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
