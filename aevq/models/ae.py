"""The autoencoder: z = f(x), x̂ = g(z), trained to minimise −log p(x|z), which for a Gaussian is ‖x − x̂‖².

Nothing asks the codes to follow a distribution that anybody knows, so a `z` drawn from N(0, I) decodes to nonsense;
a density fitted to the codes afterwards makes it a sampler (Ghosh et al. 2020, "From variational to deterministic
autoencoders", arXiv:1903.12436).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from aevq.config.schema import Count, checked
from aevq.latents import VectorSpec
from aevq.models.base import LatentModel, LossTerms
from aevq.nn.network import ImageShape, Network

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AE"]


@checked("model")
class AE(LatentModel):
    """A deterministic autoencoder with a vector of D numbers as its latent.

    Args:
        image_shape: (C, H, W).
        latent_dim: D.
        network: Builds encoder and decoder.
        **parts: Likelihood, optimizer and schedule; see `LatentModel`.
    """

    def __init__(self, image_shape: ImageShape, latent_dim: Count, network: Network, **parts: Any) -> None:
        super().__init__(**parts)
        self.latent_dim = latent_dim
        self.encoder = network.encoder(tuple(image_shape), (latent_dim,))
        self.decoder = network.decoder((latent_dim,), tuple(image_shape))

    @property
    @override
    def latent_spec(self) -> VectorSpec:
        return VectorSpec(self.latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        """Z = f(x): `(B, C, H, W)` → `(B, D)`."""
        return self.encoder(x)

    def decode(self, latent: Tensor) -> Tensor:
        """x̂ = g(z): `(B, D)` → `(B, C, H, W)`."""
        return self.likelihood.mean(self.decoder(latent))

    @override
    def terms(self, x: Tensor) -> LossTerms:
        z = self.encoder(x)
        distortion = self.likelihood.nll(x, self.decoder(z))
        return LossTerms(objective=distortion, distortion=distortion)
