"""The autoencoder: z = f(x), x̂ = g(z), trained to minimise −log p(x|z), which for a Gaussian is ‖x − x̂‖².

Nothing makes the latents follow a known distribution, so a `z` drawn from N(0, I) decodes to nonsense. A density fitted
to the latents afterwards makes the autoencoder a sampler (Ghosh et al. 2020, "From variational to deterministic
autoencoders", arXiv:1903.12436).
"""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import ImageShape, PositiveInt
from aevq.latents import VectorSpec
from aevq.models.base import LatentModel, LossTerms
from aevq.nn.backbone import MLP, Backbone


class AE(LatentModel):
    """A deterministic autoencoder whose latent is a vector of D dimensions.

    Args:
        image_shape: Channels, height and width (C, H, W) of an image.
        latent_dim: Number of latent dimensions D.
        network: Builds the encoder and the decoder; by default an `MLP`.
        **parts: Likelihood, optimizer and schedule; see `LatentModel`.
    """

    def __init__(
        self,
        image_shape: ImageShape = (1, 28, 28),
        latent_dim: PositiveInt = 32,
        network: Backbone | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        network = network or MLP()
        self.latent_dim = latent_dim
        self.encoder = network.encoder(image_shape, (latent_dim,))
        self.decoder = network.decoder((latent_dim,), image_shape)

    @property
    @override
    def latent_spec(self) -> VectorSpec:
        return VectorSpec(self.latent_dim)

    @override
    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return z = f(x): `(B, C, H, W)` → `(B, D)`."""
        return self.encoder(x)

    @override
    def decode(self, latent: Tensor) -> Tensor:
        """Return x̂ = g(z): `(B, D)` → `(B, C, H, W)`."""
        return self.likelihood.mean(self.decoder(latent))

    @override
    def loss_terms(self, x: Tensor) -> LossTerms:
        z = self.encoder(x)
        distortion = self.likelihood.nll(x, self.decoder(z))
        return LossTerms(objective=distortion, distortion=distortion)
