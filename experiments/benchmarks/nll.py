"""Seconds of the importance-weighted bound: batched over images and samples, against image by image.

Image by image is what most code bases do: for each image, batches of a hundred copies of it go through encoder and
decoder, and torch's cross entropy scores them. Both get the same untrained VAE 784-200-200-50.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor
from torch.nn import functional as F

from aevq.config.command_line import config_root
from aevq.config.instantiate import build
from aevq.models import VAE
from aevq.ops.gaussian import reparameterize
from experiments.benchmarks.timing import Row, alternate, compare

__all__ = ["image_by_image", "nll_rows"]

COPIES = 100  # of one image, that go through the network at once


@torch.inference_mode()
def image_by_image(model: VAE, x: Tensor, samples: int) -> Tensor:
    """The same bound as `VAE.importance_nll`, `(B, C, H, W)` → `(B,)`, nats."""
    nll = []
    for image in x:
        log_w = []
        for _ in range(0, samples, COPIES):
            copies = image.expand(COPIES, *image.shape)
            q = model.posterior(copies)
            z = reparameterize(q.mu, q.log_var)
            bce = F.binary_cross_entropy(model.decoder(z).sigmoid().flatten(1), copies.flatten(1), reduction="none")
            log_likelihood = -bce.sum(1)
            log_p_z = -0.5 * z.square().sum(1)
            log_q_z = -0.5 * (q.log_var + (z - q.mu).square() / q.log_var.exp()).sum(1)
            log_w.append(log_likelihood + log_p_z - log_q_z)
        nll.append(math.log(samples) - torch.cat(log_w).logsumexp(0))
    return torch.stack(nll)


def nll_rows(samples: int, images: int, repeats: int) -> Iterator[Row]:
    """The headline's number of importance samples.

    Args:
        samples: S.
        images: To evaluate in each repeat.
        repeats: Pairs.
    """
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        config = compose("train", ["model=vae_burda", "data=mnist5k", "data.binarize=dynamic"])
    torch.manual_seed(0)
    model, data = build(config.model).eval(), build(config.data)
    x = data.images("test")[:images]
    contenders = {
        "aevq": partial(_seconds, model.importance_nll, x, samples),
        "image by image": partial(_seconds, partial(image_by_image, model), x, samples),
    }
    rounds = list(alternate(contenders, repeats + 1))[1:]
    yield from compare("likelihood", f"S = {samples:,}, VAE 784-200-200-50", rounds, "image", {})


def _seconds(measure: Callable[[Tensor, int], Tensor], x: Tensor, samples: int) -> float:
    start = time.perf_counter()
    measure(x, samples)
    return (time.perf_counter() - start) / len(x)
