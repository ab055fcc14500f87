"""The variational autoencoder: a distribution over codes, pulled to N(0, I).

The encoder gives q(z|x) = N(μ, diag σ²), and the loss is the negative ELBO

    −log p(x|z) + β·D_KL(q(z|x) ‖ N(0, I)),      z = μ + σ·ε,  ε ~ N(0, I).

The KL is **added**: it is the price, in nats, of telling z. It pulls the codes to N(0, I), so z ~ N(0, I) decodes to
digits; what it costs is blur.

Source: Kingma & Welling 2013, arXiv:1312.6114, equation 10; β: Higgins et al. 2017; warm-up: Bowman et al. 2016,
arXiv:1511.06349; free bits: Kingma et al. 2016, arXiv:1606.04934.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from typing_extensions import override

from aevq.config.schema import Count, NonNegative, Whole, checked
from aevq.latents import VectorSpec
from aevq.models.base import LatentModel, LossTerms
from aevq.nn.memory import by_chunks
from aevq.nn.network import ImageShape, Network
from aevq.ops.gaussian import free_bits, kl_standard_normal, reparameterize
from aevq.ops.importance import importance_bound, log_weights
from aevq.ops.precision import at_least_float32

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VAE", "Posterior", "VAETerms"]

# Images decoded at once for the importance-weighted bound: on an accelerator what its memory holds, on a CPU what its
# cache holds, which is twice as fast as thousands.
MAX_DECODED, MAX_DECODED_ON_CPU = 20_000, 400


@dataclass(frozen=True)
class VAETerms(LossTerms):
    """Terms of the negative ELBO.

    Attributes:
        kl: D_KL(q(z|x) ‖ N(0, I)), `(B,)`, nats, without β and free bits.
    """

    kl: Tensor


@dataclass(frozen=True)
class Posterior:
    """q(z|x) = N(mu, diag exp(log_var)); both `(B, D)`."""

    mu: Tensor
    log_var: Tensor


@checked("model")
class VAE(LatentModel):
    """A VAE with a standard normal prior.

    Args:
        image_shape: (C, H, W).
        latent_dim: D.
        network: Builds encoder and decoder.
        beta: Weight of the KL.
        kl_warmup_steps: Optimizer steps over which the weight grows linearly from 0 to `beta`.
        free_bits: λ, nats per latent dimension that cost nothing.
        **parts: Likelihood, optimizer and schedule; see `LatentModel`.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: Count,
        network: Network,
        beta: NonNegative,
        kl_warmup_steps: Whole,
        free_bits: NonNegative,
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        self.latent_dim = latent_dim
        self.beta = beta
        self.kl_warmup_steps = kl_warmup_steps
        self.free_bits = free_bits
        self.encoder = network.encoder(tuple(image_shape), (2 * latent_dim,))
        self.decoder = network.decoder((latent_dim,), tuple(image_shape))

    @property
    @override
    def latent_spec(self) -> VectorSpec:
        return VectorSpec(self.latent_dim)

    def posterior(self, x: Tensor) -> Posterior:
        """q(z|x): `(B, C, H, W)` → its μ and log σ²."""
        mu, log_var = at_least_float32(self.encoder(x)).chunk(2, dim=1)
        return Posterior(mu, log_var)

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z|x): `(B, C, H, W)` → `(B, D)`."""
        return self.posterior(x).mu

    def decode(self, latent: Tensor) -> Tensor:
        """E[x|z]: `(B, D)` → `(B, C, H, W)`."""
        return self.likelihood.mean(self.decoder(latent))

    @override
    def terms(self, x: Tensor) -> VAETerms:
        q = self.posterior(x)
        z = reparameterize(q.mu, q.log_var)
        distortion = self.likelihood.nll(x, self.decoder(z))
        kl = kl_standard_normal(q.mu, q.log_var)
        objective = distortion + self.kl_weight() * free_bits(kl, self.free_bits)
        return VAETerms(objective=objective, distortion=distortion, kl=kl.sum(1))

    @torch.no_grad()
    def importance_nll(self, x: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
        """−log 1/S Σ_s p(x|z_s) p(z_s) / q(z_s|x): an upper bound of −log p(x) in expectation, tighter than the ELBO.

        Batched over images and samples; a likelihood of binary `x` makes it one of the images.

        Args:
            x: Images, `(B, C, H, W)`.
            samples: S.
            generator: Of the samples.

        Returns:
            `(B,)`, nats per image.
        """
        q = self.posterior(x)

        def log_likelihood(z: Tensor) -> Tensor:
            nll = self.likelihood.nll(x.repeat(len(z), 1, 1, 1), self.decoder(z.flatten(0, 1)))
            return -nll.view(len(z), len(x))

        at_once = max(1, (MAX_DECODED_ON_CPU if x.device.type == "cpu" else MAX_DECODED) // len(x))

        def some(numbers: Tensor) -> Tensor:
            return log_weights(q.mu, q.log_var, log_likelihood, len(numbers), generator)

        return -importance_bound(by_chunks(some, torch.arange(samples), at_once))

    def kl_per_dimension(self, x: Tensor) -> Tensor:
        """D_KL(q(z_d|x) ‖ N(0, 1)): `(B, C, H, W)` → `(B, D)`, nats; which dimensions the code really uses."""
        q = self.posterior(x)
        return kl_standard_normal(q.mu, q.log_var)

    def kl_weight(self) -> float:
        """β, or what the warm-up has reached of it; validation always weighs by β, so its curve is comparable."""
        if not self.training or self.kl_warmup_steps == 0:
            return self.beta
        return self.beta * min(1.0, (self.global_step + 1) / self.kl_warmup_steps)
