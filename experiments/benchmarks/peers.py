"""pythae's models and trainer, made to do the same work as ours. Importing this module needs pythae."""

import logging
import warnings
from collections.abc import Callable
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

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
from aevq.models.vae import Posterior
from experiments.benchmarks.timing import Laps, silence

SHAPE = (1, 28, 28)
warnings.filterwarnings("ignore", module="pythae")


class _Encoder(BaseEncoder):
    """One of our encoders with pythae's outputs."""

    def __init__(self, module: nn.Module, variational: bool) -> None:
        super().__init__()
        self.module, self.variational = module, variational

    def forward(self, x: Tensor) -> ModelOutput:
        z = self.module(x)
        if not self.variational:
            return ModelOutput(embedding=z)
        mu, log_var = z.chunk(2, dim=1)
        return ModelOutput(embedding=mu, log_covariance=log_var)


class _Decoder(BaseDecoder):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.module(z).sigmoid())


def pythae_model(ours: LatentModel) -> BaseAE:
    """Return the same model in pythae.

    AE and VAE take our encoder and decoder; a VQ-VAE takes pythae's ResNet, whose layers `cases.ResNet` has.
    """
    if hasattr(ours, "quantizer"):
        codes, dim = ours.quantizer.codebook.shape
        learning = {"use_ema": True, "decay": 0.99, "commitment_loss_factor": 0.25}
        config = VQVAEConfig(input_dim=SHAPE, latent_dim=dim, num_embeddings=codes, **learning)
        return VQVAE(config, Encoder_ResNet_VQVAE_MNIST(config), Decoder_ResNet_VQVAE_MNIST(config))
    variational = isinstance(ours, OurVAE)
    parts = _Encoder(ours.encoder, variational), _Decoder(ours.decoder)
    return _vector_model(variational, "mse", ours.latent_dim, *parts)


def _vector_model(variational: bool, loss: str, latent_dim: int, *parts: nn.Module) -> BaseAE:
    """Return pythae's VAE or AE, with its default network unless encoder and decoder are given."""
    if variational:
        return VAE(VAEConfig(input_dim=SHAPE, latent_dim=latent_dim, reconstruction_loss=loss), *parts)
    return AE(AEConfig(input_dim=SHAPE, latent_dim=latent_dim), *parts)


class _Steps(TrainingCallback):
    """Calls functions before and after each training step."""

    def __init__(self, before: Callable[[], None], after: Callable[[], None]) -> None:
        self.before, self.after = before, after

    def on_train_step_begin(self, *_: object, **__: object) -> None:
        self.before()

    def on_train_step_end(self, *_: object, **__: object) -> None:
        self.after()


def pythae_train(
    model: BaseAE, images: Tensor, after: Callable[[], None], before: Callable[[], None] = lambda: None, **settings: Any
) -> None:
    """Train by pythae's trainer with these `settings` on images `(N, 1, 28, 28)` in [0, 1].

    `before` and `after` are called before and after each step.
    """
    logging.disable(logging.INFO)  # each module of pythae has a handler of its own
    with TemporaryDirectory() as folder, silence():
        config = BaseTrainerConfig(output_dir=folder, **settings)
        dataset = BaseDataset(images, torch.zeros(len(images)))
        BaseTrainer(model, dataset, training_config=config, callbacks=[_Steps(before, after)]).train()


def pythae_seconds(model: BaseAE, images: Tensor, batch_size: int, laps: Laps) -> float:
    """Return seconds per image of one epoch of pythae's trainer."""
    steps = count(1)
    settings = {"num_epochs": 1, "per_device_train_batch_size": batch_size, "learning_rate": 1e-3}
    pythae_train(model, images, lambda: laps.done(next(steps)), no_cuda=laps.device.type == "cpu", **settings)
    return laps.seconds / batch_size


def pythae_default(
    name: str, loss: str, latent_dim: int
) -> tuple[BaseAE, Callable[[Tensor], Posterior], Callable[[Tensor], Tensor]]:
    """Return the model AE or VAE with pythae's default network, its encoder and its decoder.

    The log variance that the encoder of an AE returns has no meaning.
    """
    variational = name == "VAE"
    model = _vector_model(variational, loss, latent_dim)

    def encode(x: Tensor) -> Posterior:
        output = model.encoder(x)
        return Posterior(output.embedding, output["log_covariance"] if variational else torch.zeros(()))

    return model, encode, lambda z: model.decoder(z).reconstruction.view(-1, *SHAPE)
