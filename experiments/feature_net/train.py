"""Train the feature network.

python -m experiments.feature_net.train --root data --seed 0 --out feature_net.safetensors

It trains on the 55,000 train images with random shifts of up to two pixels, rotations and scalings, with AdamW and a
one-cycle schedule. The 5,000 validation images and the 10,000 test images are used once, at the end.
"""

import argparse
import math
from hashlib import sha256
from pathlib import Path

import safetensors.torch
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from aevq.data import DeviceLoader, MNISTDataModule, to_unit
from aevq.nn.feature_net import FeatureNet
from aevq.ops.schedule import warmup_cosine_factor
from experiments.common.configuration import compose_config, make

LEARNING_RATE = 4e-3
MAX_ROTATION, MAX_SCALING, MAX_SHIFT = math.radians(10), 0.08, 2 / 14


def augment(x: Tensor) -> Tensor:
    """Return each image `(B, 1, 28, 28)` with a small random rotation, scaling and shift."""
    angle, scale, dx, dy = (2 * torch.rand(4, len(x)) - 1) * torch.tensor(
        [[MAX_ROTATION], [MAX_SCALING], [MAX_SHIFT], [MAX_SHIFT]]
    )
    cos, sin = (1 + scale) * angle.cos(), (1 + scale) * angle.sin()
    theta = torch.stack([torch.stack([cos, -sin, dx], 1), torch.stack([sin, cos, dy], 1)], 1)
    return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


@torch.inference_mode()
def accuracy(net: FeatureNet, data: MNISTDataModule, split: str) -> float:
    """Return the share of a split's images that are classified correctly."""
    net.eval()
    right = [net(x).argmax(1) for x in data.images(split).split(1000)]
    return float((torch.cat(right) == data.labels(split)).float().mean())


def train(data: MNISTDataModule, seed: int, epochs: int, batch_size: int) -> FeatureNet:
    """Return the trained network."""
    torch.manual_seed(seed)
    net, split = FeatureNet(), data.splits.train
    loader = DeviceLoader((split.images, split.labels), batch_size, seed=seed, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=0.05)
    steps = epochs * len(loader)
    batches = (batch for _ in range(epochs) for batch in loader)
    for step, (images, labels) in enumerate(track(batches, "feature network", total=steps)):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warmup_cosine_factor(step, steps, warmup=0.2, final=0.0)
        loss = F.cross_entropy(net(augment(to_unit(images))), labels, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


def main() -> None:
    """Train, measure, and write the weights and a file with their SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="folder that contains MNIST")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("feature_net.safetensors"))
    options = parser.parse_args()
    data: MNISTDataModule = make(compose_config(f"data.root={options.root}", "data.fallback=error").data)
    net = train(data, options.seed, options.epochs, options.batch_size)
    content = safetensors.torch.save(net.state_dict())
    options.out.write_bytes(content)
    options.out.with_suffix(".sha256").write_text(sha256(content).hexdigest() + "\n", encoding="ascii")
    accuracies = {split: f"{100 * accuracy(net, data, split):.2f} %" for split in ("val", "test")}
    print(f"{options.out}: {len(content):,} bytes, accuracy {accuracies}")


if __name__ == "__main__":
    main()
