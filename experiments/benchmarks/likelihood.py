"""Seconds of the importance-weighted bound: batched over images and samples, against image by image.

Many code bases go image by image: for each image, batches of a hundred copies of it go through encoder and decoder, and
torch's cross entropy scores them. Both ways get the same untrained VAE 784-200-200-50.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from aevq.models import VAE
from aevq.ops.gaussian import reparameterize
from experiments.benchmarks.timing import Row, alternate, compare, seconds_of
from experiments.common.configuration import compose_config, make

__all__ = ["image_by_image", "likelihood_rows"]

COPIES = 100  # of one image, which go through the network at once


@torch.inference_mode()
def image_by_image(model: VAE, x: Tensor, samples: int) -> Tensor:
    """Return the bound of `VAE.importance_nll`, `(B, C, H, W)` → `(B,)`, nats."""
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


def likelihood_rows(samples: int, images: int, repeats: int) -> Iterator[Row]:
    """Yield the row of one number of importance samples.

    Args:
        samples: S.
        images: Images that are evaluated in each repeat.
        repeats: Pairs.
    """
    config = compose_config("model=vae_burda", "data=mnist5k", "data.binarize=dynamic")
    torch.manual_seed(0)
    model, data = make(config.model).eval(), make(config.data)
    x = data.images("test")[:images]
    measures = {
        "aevq": partial(seconds_of, partial(model.importance_nll, x, samples), images),
        "image by image": partial(seconds_of, partial(image_by_image, model, x, samples), images),
    }
    rounds = list(alternate(measures, repeats, warmup=1))
    yield from compare("likelihood", f"S = {samples:,}, VAE 784-200-200-50", rounds, "image")
