"""The variational autoencoder: a distribution over latents, pulled towards N(0, I).

The encoder gives q(z|x) = N(μ, diag σ²), and the loss is the negative ELBO

    −log p(x|z) + β·D_KL(q(z|x) ‖ N(0, I)),      z = μ + σ·ε,  ε ~ N(0, I).

The KL is **added**: it is the cost of encoding z, in nats. It pulls the latents towards N(0, I), so z ~ N(0, I) decodes
to digits; the cost is blur.

Source: Kingma & Welling 2013, arXiv:1312.6114, equation 10; β: Higgins et al. 2017; warm-up: Bowman et al. 2016,
arXiv:1511.06349; free bits: Kingma et al. 2016, arXiv:1606.04934.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import ImageShape, NonNegativeFloat, NonNegativeInt, PositiveInt
from aevq.latents import VectorSpec
from aevq.models.base import LogPrior, LossTerms, VariationalModel
from aevq.nn.backbone import MLP, Backbone
from aevq.nn.likelihood import Gaussian, Likelihood
from aevq.nn.memory import by_chunks
from aevq.ops.gaussian import free_bits, importance_bound, kl_standard_normal, log_weights, reparameterize
from aevq.ops.precision import at_least_float32

# Images decoded at once for the importance-weighted bound. On an accelerator memory is the limit; on a CPU hundreds fit
# into the cache and are twice as fast as thousands.
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


class VAE(VariationalModel):
    """A VAE with a standard normal prior.

    Args:
        image_shape: Channels, height and width (C, H, W) of an image.
        latent_dim: Number of latent dimensions D.
        network: Builds the encoder and the decoder; by default an `MLP`.
        beta: β, the weight of the KL.
        kl_warmup_steps: Optimizer steps over which the weight grows linearly from 0 to β.
        free_bits: λ, nats of each latent dimension that are not penalised.
        likelihood: p(x|z); by default a Gaussian with σ = 0.3, wider than the AE's: reconstructions are blurrier, and
            z ~ N(0, I) decodes to better digits.
        **parts: Optimizer and schedule; see `LatentModel`.
    """

    def __init__(
        self,
        image_shape: ImageShape = (1, 28, 28),
        latent_dim: PositiveInt = 16,
        network: Backbone | None = None,
        beta: NonNegativeFloat = 1.0,
        kl_warmup_steps: NonNegativeInt = 0,
        free_bits: NonNegativeFloat = 0.0,
        likelihood: Likelihood | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(likelihood=likelihood or Gaussian(0.3), **parts)
        network = network or MLP()
        self.latent_dim = latent_dim
        self.beta = beta
        self.kl_warmup_steps = kl_warmup_steps
        self.free_bits = free_bits
        self.encoder = network.encoder(image_shape, (2 * latent_dim,))
        self.decoder = network.decoder((latent_dim,), image_shape)

    @property
    @override
    def latent_spec(self) -> VectorSpec:
        return VectorSpec(self.latent_dim)

    def posterior(self, x: Tensor) -> Posterior:
        """Return q(z|x): `(B, C, H, W)` → its μ and log σ²."""
        mu, log_var = at_least_float32(self.encoder(x)).chunk(2, dim=1)
        return Posterior(mu, log_var)

    @override
    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the mean of q(z|x), or with a generator a draw z ~ q(z|x): `(B, C, H, W)` → `(B, D)`."""
        q = self.posterior(x)
        return q.mu if generator is None else reparameterize(q.mu, q.log_var, generator)

    @override
    def decode(self, latent: Tensor) -> Tensor:
        """Return E[x|z]: `(B, D)` → `(B, C, H, W)`."""
        return self.likelihood.mean(self.decoder(latent))

    @override
    def loss_terms(self, x: Tensor) -> VAETerms:
        q = self.posterior(x)
        z = reparameterize(q.mu, q.log_var)
        distortion = self.likelihood.nll(x, self.decoder(z))
        kl = kl_standard_normal(q.mu, q.log_var)
        objective = distortion + self.kl_weight() * free_bits(kl, self.free_bits)
        return VAETerms(objective=objective, distortion=distortion, kl=kl.sum(1))

    @torch.no_grad()
    @override
    def importance_nll(
        self,
        x: Tensor,
        samples: int,
        generator: torch.Generator | None = None,
        log_prior: LogPrior | None = None,
    ) -> Tensor:
        """Return −log 1/S Σ_s p(x|z_s) p(z_s) / q(z_s|x), in expectation an upper bound of −log p(x).

        `(B, C, H, W)` → `(B,)`, nats per image, of S = `samples` samples. It is tighter than the negative ELBO. It is
        a bound only where p(x|z) is a distribution of the images, for example a Bernoulli of binary ones. p(z) is
        N(0, I), or that of `log_prior`: latents `(N, D)` → `(N,)`, nats. Computed in batches over images and samples.
        """
        q = self.posterior(x)

        def log_likelihood(z: Tensor) -> Tensor:
            nll = self.likelihood.nll(x.repeat(len(z), 1, 1, 1), self.decoder(z.flatten(0, 1)))
            return -nll.view(len(z), len(x))

        at_once = max(1, (MAX_DECODED_ON_CPU if x.device.type == "cpu" else MAX_DECODED) // len(x))

        def chunk(indices: Tensor) -> Tensor:
            return log_weights(q.mu, q.log_var, log_likelihood, len(indices), generator, log_prior)

        return -importance_bound(by_chunks(chunk, torch.arange(samples), at_once))

    @override
    def kl_per_dimension(self, x: Tensor) -> Tensor:
        """Return D_KL(q(z_d|x) ‖ N(0, 1)): `(B, C, H, W)` → `(B, D)`, nats. An unused dimension has 0."""
        q = self.posterior(x)
        return kl_standard_normal(q.mu, q.log_var)

    def kl_weight(self) -> float:
        """Return β, or during the warm-up its share so far. Validation always uses β, so its values are comparable."""
        if not self.training or self.kl_warmup_steps == 0:
            return self.beta
        return self.beta * min(1.0, (self.global_step + 1) / self.kl_warmup_steps)
