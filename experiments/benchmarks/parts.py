"""The parts of the benchmark without trainings: quantizer, sampler, likelihood bound, and the start of a command."""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from aevq.models import VAE
from aevq.nn import EMAUpdate, VectorQuantizer
from aevq.nn.pixelcnn import GatedPixelCNN
from aevq.nn.pixelcnn_sampler import sample_codes
from aevq.ops.categorical import Draw, inverse_cdf
from aevq.ops.gaussian import reparameterize
from experiments.benchmarks.timing import Row, alternate, compare, seconds_of
from experiments.common.configuration import compose_config, make

VECTORS, DIM, CODES = 128 * 49, 64, 512
PEER, NAIVE, ONE_BY_ONE = "vector-quantize-pytorch", "once per position", "image by image"
IMPORTS = "importing torch, Lightning and Hydra"


def quantizer_row(repeats: int, vectors: int = VECTORS) -> Row:
    """Compare a step (forward, backward, codebook update) with the peer's; both have moving averages of decay 0.99."""
    from vector_quantize_pytorch import VectorQuantize

    z_e = torch.randn(vectors // 49, 49, DIM)
    peer = VectorQuantize(dim=DIM, codebook_size=CODES, decay=0.99, commitment_weight=0.25).train()

    def peer_step() -> None:
        z_q, _, commitment = peer(z_e.clone().requires_grad_())
        (z_q.square().mean() + commitment.sum()).backward()

    measures = {"aevq": _quantizer_seconds(CODES, z_e), PEER: partial(_seconds_per_step, peer_step)}
    what = f"{vectors:,} vectors, D = {DIM}, K = {CODES}"
    return compare("quantizer", what, alternate(measures, repeats, warmup=1), "step", {PEER: 4.0})[0]


def growth(repeats: int, vectors: int = VECTORS) -> dict[str, float]:
    """Return the exponents of the seconds in N, K and D, from eight times as much of each; 1 is linear growth."""
    base = {"N": vectors, "K": CODES, "D": DIM}
    sizes = {"all": base} | {name: base | {name: 8 * size} for name, size in base.items()}
    measures = {n: _quantizer_seconds(size["K"], torch.randn(size["N"], size["D"]), 3) for n, size in sizes.items()}
    rounds = list(alternate(measures, repeats, warmup=1))
    return {name: math.log(statistics.median(each[name] / each["all"] for each in rounds), 8) for name in base}


def _quantizer_seconds(codes: int, z_e: Tensor, steps: int = 10) -> Callable[[], float]:
    """Return what measures a step of our quantizer on these vectors `(..., D)`."""
    quantizer = VectorQuantizer(codes, z_e.shape[-1], EMAUpdate(0.99)).train()

    def step() -> None:
        quantized = quantizer(z_e.clone().requires_grad_())
        (quantized.z_q.square().mean() + 0.25 * quantized.commitment_loss.mean()).backward()
        quantizer.step()

    return partial(_seconds_per_step, step, steps)


def _seconds_per_step(step: Callable[[], None], steps: int = 10) -> float:
    return seconds_of(lambda: [step() for _ in range(steps)], steps)


def sampling_row(side: int, grids: int, repeats: int, target: float | None = None) -> Row:
    """Compare aevq's sampler of a PixelCNN, which has a cache, with running the network anew for each position."""
    arguments = _pixelcnn(torch.float32), _uniforms(grids, side)
    samplers = {"aevq": lambda network, uniforms: sample_codes(network, Draw(uniforms)), NAIVE: naive_codes}
    measures = {name: partial(seconds_of, partial(sample, *arguments), grids) for name, sample in samplers.items()}
    targets = {NAIVE: target} if target else {}
    return compare("sampling", f"{grids} grids of {side}×{side}", alternate(measures, repeats), "grid", targets)[0]


def equal_grids(side: int, grids: int, dtype: torch.dtype) -> float:
    """Return the share of the grids that are identical in both ways.

    Both invert the same conditionals at the same random numbers; in float32, rounding may cause differences.
    """
    network, uniforms = _pixelcnn(dtype), _uniforms(grids, side)
    equal = sample_codes(network, Draw(uniforms)) == naive_codes(network, uniforms)
    return equal.flatten(1).all(1).double().mean().item()


def naive_codes(network: GatedPixelCNN, uniforms: Tensor) -> Tensor:
    """Sample grids by one pass of the network for each position: `(n, h, w)` random numbers → int64 codes."""
    codes = torch.zeros(uniforms.shape, dtype=torch.int64)
    for i in range(uniforms.shape[1]):
        for j in range(uniforms.shape[2]):
            codes[:, i, j] = inverse_cdf(network(codes)[:, :, i, j], uniforms[:, i, j])
    return codes


def _pixelcnn(dtype: torch.dtype) -> GatedPixelCNN:
    """Return the network of the default prior, untrained: 6 gated layers of 64 channels over 256 codes."""
    torch.manual_seed(0)
    network = GatedPixelCNN(256, channels=64, layers=6, kernel=3)
    return network.to(dtype).eval().requires_grad_(False)


def _uniforms(grids: int, side: int) -> Tensor:
    return torch.rand((grids, side, side), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def likelihood_row(samples: int, images: int, repeats: int) -> Row:
    """Compare the importance-weighted bound, batched over images and S samples, with an evaluation image by image."""
    config = compose_config("experiment=burda", "data=mnist5k")
    torch.manual_seed(0)
    model, data = make(config.model).eval(), make(config.data)
    x = data.images("test")[:images]
    measures = {
        "aevq": partial(seconds_of, partial(model.importance_nll, x, samples), images),
        ONE_BY_ONE: partial(seconds_of, partial(image_by_image, model, x, samples), images),
    }
    what = f"S = {samples:,}, VAE 784-200-200-50"
    return compare("likelihood", what, alternate(measures, repeats, warmup=1), "image")[0]


@torch.inference_mode()
def image_by_image(model: VAE, x: Tensor, samples: int, copies: int = 100) -> Tensor:
    """Return the bound of `VAE.importance_nll` as many code bases compute it: `(B, C, H, W)` → `(B,)`, nats.

    For each image, batches of a hundred copies of it go through encoder and decoder, and torch's cross-entropy scores
    them.
    """
    nll = []
    for image in x:
        log_w = []
        batch = image.expand(copies, *image.shape)
        for _ in range(0, samples, copies):
            q = model.posterior(batch)
            z = reparameterize(q.mu, q.log_var)
            bce = F.binary_cross_entropy(model.decoder(z).sigmoid().flatten(1), batch.flatten(1), reduction="none")
            log_p_z = -0.5 * z.square().sum(1)
            log_q_z = -0.5 * (q.log_var + (z - q.mu).square() / q.log_var.exp()).sum(1)
            log_w.append(log_p_z - log_q_z - bce.sum(1))
        nll.append(math.log(samples) - torch.cat(log_w).logsumexp(0))
    return torch.stack(nll)


def startup_row(repeats: int) -> Row:
    """Compare `--help` with the imports that any training command needs."""
    measures = {
        "aevq": partial(_command_seconds, "-m", "aevq.train", "--help"),
        IMPORTS: partial(_command_seconds, "-c", "import torch, pytorch_lightning, hydra"),
    }
    rounds = alternate(measures, repeats, warmup=1)
    return compare("start-up", "python -m aevq.train --help", rounds, "command", {IMPORTS: 1 / 1.3})[0]


class Stamps(pl.Callback):
    """Writes the time of day at the first and after the last training step into a file."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the time of the first step."""
        if not self.path.exists():
            self.path.write_text(json.dumps([time.time()]))

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the time at which the training ends."""
        self.path.write_text(json.dumps([*json.loads(self.path.read_text()), time.time()]))


def training_seconds(overrides: Sequence[str]) -> dict[str, float]:
    """Return the seconds of a command of 20 steps: up to the first step, and from the last step to the end."""
    with TemporaryDirectory() as folder:
        stamps = Path(folder) / "stamps"
        start = time.time()
        _command_seconds(
            *("-m", "aevq.train", "model=vae", "trainer.max_steps=20", "trainer.val_check_interval=20"),
            *("logger=none", f"paths.runs={folder}/runs", "evaluation.samples=0", "plots.map_points=100"),
            f"+callbacks.stamps={{_target_: {__name__}.Stamps, path: {stamps}}}",
            *overrides,
        )
        end = time.time()
        first, last = json.loads(stamps.read_text())
    return {"to the first step": first - start, "after the last step": end - last}


def _command_seconds(*arguments: str) -> float:
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    command, environment = [sys.executable, *arguments], os.environ | {"PYTHONPATH": path}

    def call() -> None:
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(['python', *arguments])} failed:\n{done.stderr[-2000:]}")

    return seconds_of(call)
