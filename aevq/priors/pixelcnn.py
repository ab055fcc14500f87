"""A prior over grids of codes that learns how codes depend on each other: the gated PixelCNN.

    log p(z) = Σ_ij log p(z_ij | z_<ij)        log p(z) = log (1/|Y|) Σ_y p(z|y)   if class-conditional

Source: van den Oord et al. 2016, arXiv:1606.05328; as a prior for a VQ-VAE: van den Oord et al. 2017, arXiv:1711.00937,
section 3.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from aevq.config.checks import OddInt, PositiveFloat, PositiveInt, Probability
from aevq.errors import expect, expect_int
from aevq.latents import CodeSpec, LatentSpec
from aevq.nn.distributed import map_rows
from aevq.nn.pixelcnn import GatedPixelCNN
from aevq.nn.pixelcnn_sampler import sample_codes
from aevq.priors.trained import TrainedPrior, seeded

CHUNK = 256  # grids sampled or scored at once: bounds the memory, changes no result


class PixelCNN(TrainedPrior):
    """p(z) as a gated PixelCNN, or p(z|y) with equally likely classes.

    Args:
        spec: The latents that it draws.
        channels: Channels of both stacks.
        layers: Number of gated layers.
        kernel: Width of the vertical kernel, odd.
        conditional: Whether the network is given the class of the image.
        num_classes: Number of classes.
        dropout: Probability of dropping an activation behind a gate.
        **training: Learning rate, batch size, steps, seed …; see `TrainedPrior`.
    """

    kind = CodeSpec

    def __init__(
        self,
        spec: LatentSpec,
        channels: PositiveInt = 64,
        layers: PositiveInt = 6,
        kernel: OddInt = 3,
        conditional: bool = False,
        num_classes: PositiveInt = 10,
        dropout: Probability = 0.0,
        learning_rate: PositiveFloat = 5e-3,
        **training: Any,
    ) -> None:
        super().__init__(spec, learning_rate=learning_rate, **training)
        assert isinstance(spec, CodeSpec)
        self.conditional = conditional
        self.num_classes = num_classes if conditional else None
        with seeded(self.seed):
            self.network = GatedPixelCNN(spec.num_codes, channels, layers, kernel, self.num_classes, dropout)

    @override
    def log_likelihood(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        return -F.cross_entropy(self.network(latents, labels), latents, reduction="none").sum(dim=(1, 2))

    @override
    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw `n` grids, int64 `(n, h, w)` in `[0, K)`, on this module's device.

        All random numbers are drawn first, in float64 on the generator's device (by default the CPU). So the grids
        depend, up to rounding of the probabilities, neither on the chunks nor on the device.

        Args:
            n: Number of grids.
            generator: Source of the random numbers.
            labels: Classes, int64 `(n,)`; None draws them uniformly if the prior is class-conditional.
            temperature: Divides the logits; 1 samples from p(z).

        Raises:
            UserError: If n or temperature is not positive, or the labels are not n or the prior takes none.
        """
        expect_int("n", n, 1)
        source: dict[str, Any] = {"generator": generator, "device": generator.device if generator else "cpu"}
        if self.num_classes is not None and labels is None:
            labels = torch.randint(self.num_classes, (n,), **source)
        if labels is not None:
            expect(len(labels) == n, "labels", f"{n} classes", len(labels))
        u = torch.rand((n, *self.spec.shape), dtype=torch.float64, **source)
        # Apple's GPUs have no float64.
        u = u.to(self.device, torch.float32 if self.device.type == "mps" else torch.float64)
        if labels is not None:
            labels = labels.to(self.device)

        def draw(rows: Tensor) -> Tensor:
            return sample_codes(self.network, u[rows], None if labels is None else labels[rows], temperature)

        with _evaluating(self):
            rows = torch.arange(n, device=self.device)
            return map_rows(draw, rows, CHUNK).to(self.device)

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log p(z), with the classes summed over, or log p(z|y): int64 `(B, h, w)`, `(B,)` → `(B,)`, nats."""
        with _evaluating(self):
            codes = latents.split(CHUNK)
            classes = [None] * len(codes) if labels is None else labels.to(self.device).split(CHUNK)
            return torch.cat([self._log_marginal(z, y) for z, y in zip(codes, classes, strict=True)])

    def _log_marginal(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        if self.num_classes is None or labels is not None:
            return self.log_likelihood(codes, labels)
        classes = torch.arange(self.num_classes, device=codes.device)[:, None].expand(-1, len(codes))
        log_p = torch.stack([self.log_likelihood(codes, y) for y in classes])
        return log_p.logsumexp(dim=0) - math.log(self.num_classes)


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Switch to eval mode without gradients, and back afterwards."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)
