"""The networks whose training is timed."""

from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from aevq.nn import Backbone
from experiments.common.configuration import compose_config

BARE, TORCHVISION, PYTHAE = "a bare PyTorch loop", "Lightning + torchvision", "pythae"


@dataclass(frozen=True, eq=False)
class Case:
    """A network and a loss."""

    name: str  # in the table
    overrides: tuple[str, ...]  # of the default configuration
    steps: int  # that are timed
    targets: dict[str, float]  # ratios that should be reached, by name of the contender

    def compose(self, *overrides: str) -> DictConfig:
        """Return the configuration of the case, with further overrides."""
        return compose_config(*overrides, *self.overrides)


class ResNet(Backbone):
    """The layers of pythae's ResNet for MNIST as one of our backbones; the decoder's output is before the sigmoid.

    28×28 → 14×14 → 7×7 → 4×4, with two residual blocks of 128 channels, 32 inside.
    """

    def encoder(self, image_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> nn.Module:
        """Return a module `(B, 1, 28, 28) → (B, D, 4, 4)`."""
        return nn.Sequential(
            nn.Conv2d(1, 64, 4, 2, padding=1),
            nn.Conv2d(64, 128, 4, 2, padding=1),
            nn.Conv2d(128, 128, 3, 2, padding=1),
            _Block(),
            _Block(),
            nn.Conv2d(128, latent_shape[0], 1),
        ).to(memory_format=torch.channels_last)

    def decoder(self, latent_shape: tuple[int, ...], image_shape: tuple[int, ...]) -> nn.Module:
        """Return a module `(B, D, 4, 4) → (B, 1, 28, 28)`."""
        return nn.Sequential(
            nn.ConvTranspose2d(latent_shape[0], 128, 1),
            nn.ConvTranspose2d(128, 128, 3, 2, padding=1),
            _Block(),
            _Block(),
            nn.ReLU(),
            nn.ConvTranspose2d(128, 64, 3, 2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 1, 3, 2, padding=1, output_padding=1),
        ).to(memory_format=torch.channels_last)


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.ReLU(), nn.Conv2d(128, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 128, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


MLP = ("model.network.hidden=[400,400]", "model.latent_dim=20")
PYTHAE_VQ = (
    "model=vqvae",
    "~model.network",
    f"+model.network._target_={__name__}.ResNet",
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
    # So small that a step is mostly the overhead of the loop.
    Case("VAE, MLP 784-8-2", ("model=vae", "model.network.hidden=[8]", "model.latent_dim=2"), 300, {}),
    Case("AE, MLP 784-400-400-20", ("model=ae", *MLP), 300, {PYTHAE: 1.25}),
    Case("VAE, MLP 784-400-400-20", ("model=vae", *MLP), 300, {BARE: 0.95, TORCHVISION: 2.0, PYTHAE: 1.25}),
    Case("VAE, conv 32-64", ("model=vae_conv",), 100, {BARE: 0.98, PYTHAE: 1.25}),
    Case("VQ-VAE, pythae's ResNet", PYTHAE_VQ, 30, {PYTHAE: 1.25}),
)
