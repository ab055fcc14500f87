"""The peers' networks and trainers, made to do what ours do."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import AE, VAE, VQVAE, AEConfig, BaseAE, VAEConfig, VQVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.models.nn.benchmarks.mnist import Decoder_ResNet_VQVAE_MNIST, Encoder_ResNet_VQVAE_MNIST
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

from aevq.models import VAE as OurVAE
from aevq.models import LatentModel
from experiments.benchmarks.timing import Laps, silence

__all__ = ["Encoded", "ResNet", "pythae_default", "pythae_model", "pythae_seconds"]

warnings.filterwarnings("ignore", module="pythae")


class ResNet:
    """Recipe of the layers of pythae's ResNet for MNIST, as our networks are made: decoder outputs before the sigmoid.

    28×28 → 14 → 7 → 4×4, with two residual blocks of 128 channels, 32 inside.
    """

    def encoder(self, image_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> nn.Module:
        """`(B, 1, 28, 28) → (B, D, 4, 4)`."""
        return nn.Sequential(
            nn.Conv2d(1, 64, 4, 2, padding=1),
            nn.Conv2d(64, 128, 4, 2, padding=1),
            nn.Conv2d(128, 128, 3, 2, padding=1),
            _Block(),
            _Block(),
            nn.Conv2d(128, latent_shape[0], 1),
        ).to(memory_format=torch.channels_last)

    def decoder(self, latent_shape: tuple[int, ...], image_shape: tuple[int, ...]) -> nn.Module:
        """`(B, D, 4, 4) → (B, 1, 28, 28)`."""
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


class _Encoder(BaseEncoder):
    """One of our encoders with pythae's outputs."""

    def __init__(self, net: nn.Module, variational: bool) -> None:
        super().__init__()
        self.net, self.variational = net, variational

    def forward(self, x: Tensor) -> ModelOutput:
        z = self.net(x)
        if not self.variational:
            return ModelOutput(embedding=z)
        mu, log_var = z.chunk(2, dim=1)
        return ModelOutput(embedding=mu, log_covariance=log_var)


class _Decoder(BaseDecoder):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.net(z).sigmoid())


def pythae_model(ours: LatentModel) -> BaseAE:
    """The model in pythae, with encoder and decoder of ours; for a VQ-VAE with its ResNet, the layers of `ResNet`."""
    shape = (1, 28, 28)
    if hasattr(ours, "quantizer"):
        quantizer = ours.quantizer
        config = VQVAEConfig(
            input_dim=shape,
            latent_dim=quantizer.codebook.shape[1],
            num_embeddings=quantizer.num_codes,
            use_ema=True,
            decay=0.99,
            commitment_loss_factor=0.25,
        )
        return VQVAE(config, Encoder_ResNet_VQVAE_MNIST(config), Decoder_ResNet_VQVAE_MNIST(config))
    variational = isinstance(ours, OurVAE)
    parts = _Encoder(ours.encoder, variational), _Decoder(ours.decoder)
    if variational:
        return VAE(VAEConfig(input_dim=shape, latent_dim=ours.latent_dim, reconstruction_loss="mse"), *parts)
    return AE(AEConfig(input_dim=shape, latent_dim=ours.latent_dim), *parts)


class _Watch(TrainingCallback):
    """Takes the laps of pythae's trainer."""

    def __init__(self, laps: Laps) -> None:
        self.laps, self.steps = laps, 0

    def on_train_step_end(self, *_: object, **__: object) -> None:
        self.steps += 1
        self.laps.done(self.steps)


def pythae_seconds(model: BaseAE, images: Tensor, batch_size: int, laps: Laps) -> float:
    """Seconds an image of one epoch of pythae's trainer over float32 `images`, in laps."""
    logging.disable(logging.INFO)  # each of its modules has a handler of its own
    with TemporaryDirectory() as folder, silence():
        config = BaseTrainerConfig(
            output_dir=str(Path(folder)),
            num_epochs=1,
            per_device_train_batch_size=batch_size,
            learning_rate=1e-3,
            no_cuda=laps.device.type == "cpu",
        )
        dataset = BaseDataset(images, torch.zeros(len(images)))
        BaseTrainer(model, dataset, training_config=config, callbacks=[_Watch(laps)]).train()
    return laps.seconds / batch_size


class Encoded(NamedTuple):
    """q(z|x), `(B, D)` each; the log variance means nothing to an AE."""

    mu: Tensor
    log_var: Tensor


def pythae_default(
    name: str, loss: str, latent_dim: int
) -> tuple[BaseAE, Callable[[Tensor], Encoded], Callable[[Tensor], Tensor]]:
    """The model AE or VAE with pythae's default network, its encoder and its decoder."""
    shape = (1, 28, 28)
    if name == "AE":
        model: BaseAE = AE(AEConfig(input_dim=shape, latent_dim=latent_dim))
    else:
        model = VAE(VAEConfig(input_dim=shape, latent_dim=latent_dim, reconstruction_loss=loss))

    def encode(x: Tensor) -> Encoded:
        output = model.encoder(x)
        return Encoded(output.embedding, output["log_covariance"] if name == "VAE" else torch.zeros(()))

    return model, encode, lambda z: model.decoder(z).reconstruction.view(-1, *shape)
