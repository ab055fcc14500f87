"""Flow matching over latent vectors: a network learns the velocity that carries noise to latents on straight lines.

    z_t = (1 − t) z_0 + t z_1,  z_0 ~ N(0, I),  z_1 a latent,  t ~ U(0, 1)
    loss = mean_d (v(z_t, t) − (z_1 − z_0))²                    minimised by v(z, t) = E[z_1 − z_0 | z_t = z]
    dz_t/dt = v(z_t, t)                                         from z_0 at t = 0 to a sample at t = 1
    log p(z_1) = log N(z_0; 0, I) − ∫₀¹ tr ∂v/∂z (z_t, t) dt

Source: Lipman et al. 2022, arXiv:2210.02747; Liu et al. 2022, arXiv:2209.03003; density: Chen et al. 2018,
arXiv:1806.07366.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap
from typing_extensions import override

from aevq.config.checks import PositiveFloat, PositiveInt, Probability
from aevq.latents import LatentSpec
from aevq.nn.contexts import seeded
from aevq.priors.standardized import StandardizedPrior

FREQUENCIES = 16  # of the features of t


class FlowMatching(StandardizedPrior):
    """An ordinary differential equation from N(0, I) to the standardised latents.

    Args:
        spec: The latents that it draws, vectors.
        width: Width of the network.
        layers: Number of its residual blocks.
        dropout: Probability of dropping an activation in a block.
        sampling_steps: Steps of Heun's method, two evaluations of the network each.
        density: Whether `log_prob` is available. It costs as much as D samples for each latent.
        learning_rate: Learning rate of AdamW after the warm-up.
        batch_size: Latents of a step in each process.
        ema_decay: Decay of the moving average of the weights.
        **training: `fit_to`, weight decay, steps, seed …; see `StandardizedPrior` and `TrainedPrior`.
    """

    loss_name: ClassVar[str] = "loss"

    def __init__(
        self,
        spec: LatentSpec,
        width: PositiveInt = 256,
        layers: PositiveInt = 3,
        dropout: Probability = 0.0,
        sampling_steps: PositiveInt = 16,
        density: bool = False,
        learning_rate: PositiveFloat = 2e-3,
        batch_size: PositiveInt = 256,
        ema_decay: Probability = 0.999,
        **training: Any,
    ) -> None:
        training |= {"learning_rate": learning_rate, "batch_size": batch_size, "ema_decay": ema_decay}
        super().__init__(spec, **training)
        self.sampling_steps, self.density = sampling_steps, density
        (dim,) = spec.shape
        with seeded(self.seed):
            self.network = VelocityNetwork(dim, width, layers, dropout)

    @override
    def losses(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Return the squared error of the velocity, mean over the dimensions: `(B, D)` → `(B,)`.

        In training, times and noise are of the global random numbers; in validation they are always the same.
        """
        z_1 = self.standardize(latents)
        generator = None if self.training else torch.Generator(z_1.device).manual_seed(self.seed)
        z_0 = torch.randn(z_1.shape, generator=generator, dtype=z_1.dtype, device=z_1.device)
        t = torch.rand(len(z_1), generator=generator, dtype=z_1.dtype, device=z_1.device)
        z_t = torch.lerp(z_0, z_1, t[:, None])
        return (self.network(z_t, t) - (z_1 - z_0)).square().mean(1)

    @override
    def from_noise(self, epsilon: Tensor) -> Tensor:
        return heun(self.network, epsilon, 0.0, 1.0, self.sampling_steps)

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log p(z), up to the error of the integration: `(B, D)` → `(B,)`, nats."""
        if not self.density:
            raise NotImplementedError("FlowMatching has no density, unless it is built with density=True")
        return self.evaluate(self._log_density, latents)

    def _log_density(self, latents: Tensor) -> Tensor:
        def derivative(y: Tensor, t: Tensor) -> Tensor:
            z = y[:, :-1]
            jacobian: Tensor = vmap(jacrev(lambda z, t: self.network(z[None], t[None])[0]))(z, t)
            trace = jacobian.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
            return torch.cat([self.network(z, t), trace], 1)

        y = torch.cat([self.standardize(latents), torch.zeros_like(latents[:, :1])], 1)
        y = heun(derivative, y, 1.0, 0.0, self.sampling_steps)
        z_0, minus_integral = y[:, :-1], y[:, -1]
        log_normal = -0.5 * (z_0.square() + math.log(2 * math.pi)).sum(1)
        return log_normal + minus_integral - self.std.log().sum()


class VelocityNetwork(nn.Module):
    """v(z, t): residual blocks h ← h + W₂ silu(W₁ norm(h) + U τ), with τ the features of t.

    Args:
        dim: D.
        width: Width of h.
        layers: Number of blocks.
        dropout: Probability of dropping an activation in a block.
    """

    def __init__(self, dim: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(dim, width), nn.Linear(width, dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.time = nn.ModuleList(nn.Linear(2 * FREQUENCIES, width, bias=False) for _ in range(layers))
        self.inner = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)) for _ in range(layers))
        self.outer = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width)) for _ in range(layers)
        )

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """Return v(z, t): `(B, D)`, `(B,)` in [0, 1] → `(B, D)`."""
        angles = math.pi * t[:, None] * torch.arange(1, FREQUENCIES + 1, dtype=t.dtype, device=t.device)
        tau = torch.cat([angles.cos(), angles.sin()], 1)
        h = self.first(z)
        for time, inner, outer in zip(self.time, self.inner, self.outer, strict=True):
            h = h + outer(inner(h) + time(tau))
        return self.last(h)


def heun(derivative: Callable[[Tensor, Tensor], Tensor], y: Tensor, start: float, end: float, steps: int) -> Tensor:
    """Integrate dy/dt = f(y, t) from `start` to `end` by Heun's method, whose error is of the order of 1 / steps².

    Args:
        derivative: f, `(B, D)`, `(B,)` → `(B, D)`.
        y: The value at `start`, `(B, D)`.
        start: Where t starts.
        end: Where t ends; it may be less than `start`.
        steps: Number of steps.
    """
    h = (end - start) / steps
    for step in range(steps):
        t = torch.full_like(y[:, 0], start + step * h)
        slope = derivative(y, t)
        y = y + h / 2 * (slope + derivative(y + h * slope, t + h))
    return y
