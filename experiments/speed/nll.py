"""Times the importance-weighted bound, batched over images and samples, against evaluating image by image.

python experiments/speed/nll.py

Image by image is what most code bases do: for each image, batches of a hundred copies of it go through encoder and
decoder, and torch's cross entropy scores them. Both get the same untrained VAE 784-200-200-50, alternate in one
process, and their medians are compared.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time

import torch
from hydra import compose, initialize_config_dir
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from aevq.build import build
from aevq.cli import config_root
from aevq.models import VAE
from aevq.ops.gaussian import reparameterize

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


def seconds(measure: object, *arguments: object) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    measure(*arguments)  # type: ignore[operator]
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        config = compose("train", ["model=vae_burda", "data=mnist5k", "data.binarize=dynamic"])
    torch.manual_seed(0)
    model, data = build(config.model).eval(), build(config.data)
    x = data.images("test")[: options.images]
    print(f"{torch.get_num_threads()} threads, {len(x)} images; milliseconds an image, median of {options.repeats}")
    for samples in (100, 1000, 5000):
        model.importance_nll(x, samples), image_by_image(model, x[:1], samples)
        times: dict[str, list[float]] = {"batched": [], "one": []}
        for _ in track(range(options.repeats), f"S = {samples}", transient=True):
            times["batched"].append(seconds(model.importance_nll, x, samples))
            times["one"].append(seconds(image_by_image, model, x, samples))
        ratios = sorted(one / batched for one, batched in zip(times["one"], times["batched"], strict=True))
        batched, one = (1000 * statistics.median(times[name]) / options.images for name in ("batched", "one"))
        spread = f"{ratios[0]:.1f} to {ratios[-1]:.1f}"
        ratio = f"{statistics.median(ratios):.1f}x ({spread})"
        print(f"S = {samples:>5}: {batched:7.1f} batched, {one:7.1f} image by image: {ratio}")


if __name__ == "__main__":
    main()
