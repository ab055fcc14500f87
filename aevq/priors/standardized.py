"""Trained priors over latent vectors that map noise to latents of mean 0 and variance 1.

    z = μ + σ u,  u = g(ε),  ε ~ N(0, I)        log p(z) = log p(u) − Σ_d log σ_d

μ and σ are the mean and the standard deviation of each dimension of the train latents; g is learned.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from aevq.errors import expect_int
from aevq.latents import LatentSet, LatentSpec, VectorSpec
from aevq.nn.contexts import evaluating
from aevq.nn.distributed import map_rows
from aevq.priors.base import FitTo
from aevq.priors.normal import JITTER
from aevq.priors.trained import TrainedPrior

CHUNK = 500  # latents sampled or scored at once: bounds the memory, changes no result


class StandardizedPrior(TrainedPrior):
    """A trained prior over standardised vectors. A subclass implements `from_noise` besides its loss.

    Args:
        spec: The latents that it draws.
        fit_to: Means of q(z|x), or draws from it; see `Prior`.
        **training: Learning rate, batch size, steps, seed …; see `TrainedPrior`.
    """

    kind = VectorSpec
    mean: Tensor
    std: Tensor

    def __init__(self, spec: LatentSpec, fit_to: FitTo = "mean", **training: Any) -> None:
        super().__init__(spec, **training)
        self.fit_to = fit_to
        self.register_buffer("mean", torch.zeros(spec.shape))
        self.register_buffer("std", torch.ones(spec.shape))

    @override
    def prepare(self, latents: LatentSet) -> None:
        """Set mean and standard deviation to those of the train latents."""
        z = latents.train.double()
        self.mean.copy_(z.mean(0))
        self.std.copy_((z.var(0, correction=0) + JITTER).sqrt())

    def standardize(self, latents: Tensor) -> Tensor:
        """Return u = (z − μ) / σ: `(B, D)` → `(B, D)`."""
        return (latents - self.mean) / self.std

    @abstractmethod
    def from_noise(self, epsilon: Tensor) -> Tensor:
        """Return u = g(ε), standardised latents: `(B, D)` → `(B, D)`."""

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ε ~ N(0, I) and z = μ + σ g(ε): `(n, D)`.

        All noise is drawn first, on the generator's device (by default the CPU), so the latents do not depend on the
        chunks.
        """
        expect_int("n", n, 1)
        device = generator.device if generator else "cpu"
        epsilon = torch.randn((n, *self.spec.shape), generator=generator, device=device).to(self.mean)
        return self.mean + self.std * self.evaluate(self.from_noise, epsilon)

    def evaluate(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """Return `function` of all rows, in chunks, in eval mode and without gradients, on this module's device."""
        with evaluating(self):
            return map_rows(function, rows, CHUNK).to(self.device)
