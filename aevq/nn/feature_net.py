"""The feature net: a small MNIST classifier; its penultimate layer gives the features in which images are compared.

The weights are part of the package and are checked by their SHA-256 when they are loaded. A Fréchet distance in the 128
features is called FD-MNIST. It must not be compared with the FID, whose features are Inception's, or with distances in
the features of another network.
"""

from hashlib import sha256
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from typing_extensions import override

from aevq.errors import UserError

NUM_FEATURES = 128
WEIGHTS = Path(__file__).with_name("feature_net.safetensors")


class FeatureNet(nn.Module):
    """Five 3×3 convolutions, three poolings, 128 features and ten classes; 178,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_block(1, 32), *_block(32, 32), nn.MaxPool2d(2),
            *_block(32, 64), *_block(64, 64), nn.MaxPool2d(2),
            *_block(64, 64), nn.MaxPool2d(2),
        )  # fmt: skip
        self.penultimate = nn.Sequential(nn.Flatten(), nn.Linear(64 * 3 * 3, NUM_FEATURES), nn.ReLU())
        self.classes = nn.Linear(NUM_FEATURES, 10)

    def features(self, x: Tensor) -> Tensor:
        """Return the features of images: `(B, 1, 28, 28)` in [0, 1] → `(B, 128)`."""
        return self.penultimate(self.convolutions(x.contiguous(memory_format=torch.channels_last)))

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the ten digits: images `(B, 1, 28, 28)` in [0, 1] → `(B, 10)`."""
        return self.classes(self.features(x))


def _block(c_in: int, c_out: int) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]


def feature_net_sha256(path: Path = WEIGHTS) -> str:
    """Return the SHA-256 that the weights should have, from the file beside them."""
    return path.with_suffix(".sha256").read_text(encoding="ascii").strip()


def load_feature_net(path: Path = WEIGHTS) -> FeatureNet:
    """Return the trained net, frozen, in eval mode.

    Raises:
        UserError: If the file is missing or has another SHA-256 than the file beside it says.
    """
    expected = feature_net_sha256(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the feature net's weights cannot be read ({error.strerror})") from error
    found = sha256(content).hexdigest()
    if found != expected:
        raise UserError(f"{path}: expected SHA-256 {expected[:12]}…, got {found[:12]}…; not the feature net")
    net = FeatureNet()
    net.load_state_dict(safetensors.torch.load(content))
    # Channels last is more than twice as fast on a CPU, and not slower elsewhere.
    return net.to(memory_format=torch.channels_last).eval().requires_grad_(False)
