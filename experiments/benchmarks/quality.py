"""Quality over training time: aevq with its defaults, and pythae with its own, on the same machine and images.

python -m experiments.benchmarks.quality data.root=../data

Writes quality.json and quality.png beside this file, and a table into README.md. The clock stops while a model is
evaluated; the same code evaluates both. Further arguments are overrides of aevq's configuration.
"""

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
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

from aevq.config.terminal import quiet_libraries
from aevq.data import MNISTDataModule
from aevq.metrics.generate import features_of
from aevq.models.vae import Posterior
from aevq.nn.feature_net import load_feature_net
from aevq.ops.distance import frechet_distance, moments
from aevq.ops.gaussian import importance_bound, log_weights
from aevq.report.tables import markdown_grid
from experiments.benchmarks.timing import silence
from experiments.benchmarks.training import fit
from experiments.common.configuration import compose_config, make
from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.readme import put

README, RESULTS = (Path(__file__).with_name(name) for name in ("README.md", "quality.json"))
OURS, THEIRS = "aevq", "pythae"
SAMPLES, IMPORTANCE_SAMPLES, IMAGES = 2000, 50, 500

Encode, Decode = Callable[[Tensor], Posterior], Callable[[Tensor], Tensor]
Judge = Callable[[Encode, Decode], float]
Curve = list[tuple[float, float]]  # (seconds of training, value of the metric)


@dataclass(frozen=True)
class Race:
    """A metric that both models bring down."""

    metric: str  # its name
    model: str  # pythae's, `AE` or `VAE`
    loss: str  # pythae's, `mse` or `bce`
    overrides: tuple[str, ...]  # of aevq's configuration
    judge: Callable[[MNISTDataModule], Judge]  # returns the function that evaluates a model


@dataclass
class Clock:
    """Counts seconds of training, and evaluates the model now and then, which does not count."""

    model: nn.Module
    measure: Callable[[], float]
    interval: float  # seconds between two evaluations
    points: Curve = field(default_factory=list)
    seconds: float = 0.0
    since: float | None = None

    def start(self) -> None:
        """Start the clock, unless it runs."""
        self.since = self.since or time.perf_counter()

    def tick(self, always: bool = False) -> None:
        """Note that a step is done, and evaluate where it is time to."""
        now = time.perf_counter()
        self.seconds += now - self.since if self.since is not None else 0.0
        if always or not self.points or self.seconds >= self.points[-1][0] + self.interval:
            self.model.eval()
            with torch.no_grad(), torch.random.fork_rng():
                self.points.append((self.seconds, self.measure()))
            self.model.train()
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


BINARY = ("model=vae", "model/likelihood=bernoulli", "data.binarize=dynamic")
RACES = (
    Race("reconstruction MSE", "AE", "mse", ("model=ae",), mse),
    Race("NLL, nats", "VAE", "bce", BINARY, nll),
    Race("FD of samples from N(0, I)", "VAE", "mse", ("model=vae",), fd),
)


class _Ours(pl.Callback):
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_start(self, *_: Any) -> None:
        self.clock.start()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.clock.tick(always=trainer.global_step == trainer.max_steps)


def ours(race: Race, config: DictConfig, interval: float) -> Curve:
    """Return the curve of a default training."""
    pl.seed_everything(0, verbose=False)
    data, model = make(config.data), make(config.model)
    data.prepare()
    judge = race.judge(data)
    encode = model.posterior if race.model == "VAE" else lambda x: Posterior(model.encode(x), torch.zeros(()))
    clock = Clock(model, lambda: judge(encode, model.decode), interval)
    with TemporaryDirectory() as folder, silence():
        fit(model, data, config, folder, [_Ours(clock)])
    return clock.points


class _TimeOver(Exception):
    """pythae's training time is over."""


def theirs(race: Race, config: DictConfig, interval: float, seconds: float) -> Curve:
    """Return the curve of pythae's default network and trainer with our latent dimension."""
    from experiments.benchmarks.peers import pythae_default, pythae_train

    torch.manual_seed(0)
    data = make(config.data)
    data.prepare()
    judge = race.judge(data)
    model, encode, decode = pythae_default(race.model, race.loss, config.model.latent_dim)
    clock = Clock(model, lambda: judge(encode, decode), interval)

    def after_step() -> None:
        clock.tick()
        if clock.seconds > seconds:
            raise _TimeOver

    with suppress(_TimeOver):
        pythae_train(model, data.images("train"), after_step, clock.start, no_cuda=True)
    return clock.points


def main() -> None:
    """Train, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="overrides of the configuration, for example data.root=…")
    parser.add_argument("--seconds", type=float, default=120, help="training time of pythae")
    parser.add_argument("--interval", type=float, default=2, help="seconds between two evaluations")
    parser.add_argument("--out", type=Path, default=RESULTS, help="README.md changes with the default only")
    options = parser.parse_intermixed_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    quiet_libraries()
    curves = {}
    for race in RACES:
        config = compose_config("trainer=cpu", *options.overrides, *race.overrides)
        print(f"{race.metric}: aevq …", flush=True)
        mine = ours(race, config, options.interval)
        print(f"{race.metric}: pythae, {options.seconds:.0f} s …", flush=True)
        curves[race.metric] = {OURS: mine, THEIRS: theirs(race, config, options.interval, options.seconds)}
    options.out.write_text(json.dumps(curves, indent=1) + "\n")
    plot(curves, options.out.with_suffix(".png"))
    if options.out == RESULTS:
        put(README, "quality", table(curves))
    print(table(curves))


def table(curves: dict[str, dict[str, Curve]]) -> str:
    """Return what aevq reaches, and when pythae reaches it, as Markdown."""
    rows = []
    for metric, curve in curves.items():
        seconds, value = curve[OURS][-1]
        then = [v for s, v in curve[THEIRS] if s <= seconds][-1]
        never = "not in {:.0f} s ({:.3g})".format(*curve[THEIRS][-1])
        reached = next((f"{s:.0f} s" for s, v in curve[THEIRS] if v <= value), never)
        rows.append([metric, f"**{value:.3g}**", f"{seconds:.0f} s", f"{then:.3g}", reached])
    return markdown_grid(["metric", "aevq", "after", "pythae after the same time", "pythae reaches it after"], rows)


def plot(curves: dict[str, dict[str, Curve]], path: Path) -> None:
    """Draw one panel for each metric."""
    panels = []
    for metric, curve in curves.items():
        series = [Series(name, [Point(*p) for p in points if p[0] > 0.1]) for name, points in curve.items()]
        panels.append(Panel("seconds of training", metric, series, log="xy"))
    draw(path, *panels)


if __name__ == "__main__":
    main()
