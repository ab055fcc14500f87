"""What every prior offers: a density p(z) over latents that is fitted to encoded images, sampled and scored.

A prior knows latents only, never the model that made them. It is built for a `LatentSpec`, and its `kind` says for
which kind: vectors (AE, VAE) or grids of codes (VQ-VAE).
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from aevq.config.checks import ArgumentError, Configurable
from aevq.latents import CodeSpec, LatentSet, LatentSpec, VectorSpec
from aevq.nn.distributed import map_rows

CHUNK = 500
FitTo = Literal["mean", "draw"]
MOST_SUMMED = 10  # classes; scoring with each of them costs as much as an unconditional prior


class Prior(Configurable, nn.Module, ABC):
    """p(z), or p(z|y) where it has `num_classes`. What is fitted is in its parameters and buffers.

    Args:
        spec: The latents that it draws.

    Attributes:
        kind: The kind of latents it is for, `VectorSpec` or `CodeSpec`.
        fewest_latents: How many latents a fit needs at least.
        num_classes: Classes of a conditional prior; None for an unconditional one.
        fit_to: Whether it is fitted to the means of q(z|x) or to draws z ~ q(z|x); of a deterministic model they are
            the same.
        fit_seconds: Wall time of its fit; None if it was not fitted.

    Raises:
        UserError: If `spec` is of the other kind.
    """

    kind: ClassVar[type[LatentSpec]]
    fewest_latents: int = 1
    num_classes: int | None = None
    fit_to: FitTo = "mean"
    fit_seconds: float | None = None

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__()
        if not isinstance(spec, self.kind):
            words: dict[type, str] = {VectorSpec: "vectors (AE, VAE)", CodeSpec: "grids of codes (VQ-VAE)"}
            mine, theirs = words[self.kind], words[type(spec)]
            raise ArgumentError("", f"{type(self).__name__} is a prior for {mine}, but the latents are {theirs}")
        self.spec = spec

    def fit(self, latents: LatentSet) -> None:
        """Fit to the train latents; those of the validation split may decide when to stop. By default do nothing."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `n` latents, `(n, *spec.shape)`."""

    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log p(z), or log p(z|y) if labels are given: `(B, *spec.shape)` → `(B,)`, nats."""
        raise NotImplementedError(f"{type(self).__name__} has no density")

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to fit, as for N(0, I)."""
        return type(self).fit is Prior.fit

    @property
    def num_parameters(self) -> int:
        """Number of trained weights, or of stored values if no weights are trained."""
        return sum(p.numel() for p in self.parameters()) or sum(b.numel() for b in self.buffers())

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return next(iter(self.state_dict().values())).device


def has_density(prior: Prior, latents: Tensor) -> bool:
    """Return whether a prior has a `log_prob`; it is asked for that of some `latents`, `(B, *spec.shape)`."""
    try:
        prior.log_prob(latents.to(prior.device))
    except NotImplementedError:
        return False
    return True


def code_length(prior: Prior, latents: Tensor, labels: Tensor) -> Tensor:
    """Return the code length −log p(z) of each latent: `(N, *spec.shape)` → `(N,)`, nats.

    For a prior p(z|y) with too many classes to sum over it is log |Y| − log p(z|y), which is larger: the class, taken
    from `labels` `(N,)`, is encoded first.
    """
    classes = prior.num_classes or 1

    def length(rows: Tensor) -> Tensor:
        z = latents[rows].to(prior.device)
        if classes <= MOST_SUMMED:
            return -prior.log_prob(z)
        return math.log(classes) - prior.log_prob(z, labels[rows].to(prior.device))

    return map_rows(length, torch.arange(len(latents)), CHUNK)
