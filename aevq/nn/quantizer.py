"""The vector quantiser: a codebook, the rule that moves it, and the cure for codes that nobody uses.

It works on vectors `(..., D)` and knows nothing of images. Three parts are injected:

- `GradientUpdate`: the codebook follows the gradient of ‖sg[z_e] − e‖² (van den Oord et al. 2017, arXiv:1711.00937,
  equation 3, second term).
- `EMAUpdate`: the codebook follows moving averages of the vectors assigned to it (the same, appendix A.1).
- `DeadCodeRestart`: a code that is hardly used is moved onto a vector of the current batch (Dhariwal et al. 2020,
  arXiv:2005.00341, section 3.1, "random restarts").

In training, `forward` records what was assigned and `step`, called once after each optimizer step, moves the codebook;
in eval mode nothing moves. Under a process group the records of all ranks, and the vectors for a restart, are summed by
one `all_reduce`; whether there is one is asked at call time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aevq.config.schema import Count, Probability, checked
from aevq.nn.distributed import all_reduce_sum, global_rank, world_size
from aevq.ops.precision import at_least_float32, no_autocast
from aevq.ops.quantize import code_counts, code_sums, nearest_code, straight_through

__all__ = ["CodebookUpdate", "DeadCodeRestart", "EMAUpdate", "GradientUpdate", "Quantized", "VectorQuantizer"]


@dataclass(frozen=True)
class Quantized:
    """What quantising `z_e` of shape `(..., D)` gives.

    Attributes:
        z_q: Nearest code vectors, `(..., D)`, with the gradient of `z_e`.
        codes: Their indices, int64 `(...)`.
        codebook_loss: ‖sg[z_e] − e‖², `(...)`; zero where the codebook is not trained by gradient.
        commitment_loss: ‖z_e − sg[e]‖², `(...)`, without its weight β.
    """

    z_q: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class CodebookUpdate(Protocol):
    """How a codebook learns."""

    by_gradient: bool

    def start(self, codebook: Tensor) -> None:
        """Begin (again) from this codebook, `(K, D)`."""

    def step(self, codebook: Tensor, counts: Tensor, sums: Tensor) -> None:
        """Move `codebook` in place, given assignment counts `(K,)` and sums of vectors `(K, D)` of one step."""

    def restart(self, dead: Tensor, vectors: Tensor) -> None:
        """Rows `dead` (bool `(K,)`) were set to the rows of `vectors` `(K, D)`: forget their past."""


class GradientUpdate(nn.Module):
    """The codebook is a parameter like any other; the optimizer moves it."""

    by_gradient = True

    def start(self, codebook: Tensor) -> None:
        """Nothing to begin."""

    def step(self, codebook: Tensor, counts: Tensor, sums: Tensor) -> None:
        """Nothing to do: the optimizer did it."""

    def restart(self, dead: Tensor, vectors: Tensor) -> None:
        """Nothing to forget."""


@checked("model.codebook_update")
class EMAUpdate(nn.Module):
    """N_k ← γN_k + (1−γ)n_k,  m_k ← γm_k + (1−γ)Σ z_e,  e_k = m_k / N_k.

    A code without recent assignments keeps its place: both averages shrink alike.

    Args:
        decay: γ in [0, 1).
    """

    by_gradient = False
    SMALLEST_COUNT = 1e-12  # below it the quotient of two averages that both went to zero means nothing
    counts: Tensor
    sums: Tensor

    def __init__(self, decay: Probability) -> None:
        super().__init__()
        self.decay = decay

    def start(self, codebook: Tensor) -> None:
        """N_k = 1 and m_k = e_k."""
        self.register_buffer("counts", codebook.new_ones(len(codebook)))
        self.register_buffer("sums", codebook.detach().clone())

    def step(self, codebook: Tensor, counts: Tensor, sums: Tensor) -> None:
        """Move the averages and, with them, the codebook."""
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        alive = self.counts > self.SMALLEST_COUNT
        codebook.copy_(torch.where(alive[:, None], self.sums / self.counts[:, None], codebook))

    def restart(self, dead: Tensor, vectors: Tensor) -> None:
        """N_k = 1 and m_k = the new vector, for the rows that were moved."""
        self.counts.masked_fill_(dead, 1.0)
        self.sums.copy_(torch.where(dead[:, None], vectors, self.sums))


@checked("model.restart")
@dataclass(frozen=True)
class DeadCodeRestart:
    """Which codes are dead, and how often to look.

    Attributes:
        threshold: A code is dead when its share of the assignments falls under this part of 1/K.
        every: Steps between two looks.
    """

    threshold: Probability
    every: Count


@checked("model")
class VectorQuantizer(nn.Module):
    """Replaces vectors by the nearest of K code vectors.

    Args:
        num_codes: K.
        code_dim: D.
        update: How the codebook learns.
        restart: When unused codes are moved; None leaves them where they are.

    Raises:
        UserError: If `num_codes` or `code_dim` is not positive.
    """

    SHARE_DECAY = 0.99
    codebook: nn.Parameter
    share: Tensor

    def __init__(
        self, num_codes: Count, code_dim: Count, update: CodebookUpdate, restart: DeadCodeRestart | None = None
    ) -> None:
        super().__init__()
        self.num_codes = num_codes
        self.code_dim = code_dim
        self.update = update
        self.restart = restart
        self.codebook = nn.Parameter(torch.randn(num_codes, code_dim), requires_grad=update.by_gradient)
        self.register_buffer("share", torch.full((num_codes,), 1 / num_codes))
        self.steps = 0  # a plain int, kept by the extra state: a tensor would cost a synchronisation each step
        self.update.start(self.codebook)
        self._recorded: Tensor | None = None
        self._candidates: Tensor | None = None

    def lookup(self, codes: Tensor) -> Tensor:
        """Code vectors: int64 `(...)` → `(..., D)`."""
        return F.embedding(codes, self.codebook)

    def forward(self, z_e: Tensor) -> Quantized:
        """Quantise `z_e`, `(..., D)`, in float32 at least; in training, record the assignments for `step`."""
        with no_autocast(z_e):
            return self._quantize(at_least_float32(z_e))

    def _quantize(self, z_e: Tensor) -> Quantized:
        codes = nearest_code(z_e.detach(), self.codebook.detach())
        e = self.lookup(codes).to(z_e.dtype)
        if self.training:
            self._record(z_e.detach(), codes)
        commitment_loss = (z_e - e.detach()).square().sum(-1)
        by_gradient = self.update.by_gradient
        codebook_loss = (z_e.detach() - e).square().sum(-1) if by_gradient else torch.zeros_like(commitment_loss)
        return Quantized(straight_through(z_e, e), codes, codebook_loss, commitment_loss)

    @torch.no_grad()
    def start(self, codebook: Tensor) -> None:
        """Begin from this codebook, `(K, D)`, say the centres of a k-means."""
        self.codebook.copy_(codebook)
        self.share.fill_(1 / self.num_codes)
        self.update.start(self.codebook)

    @torch.no_grad()
    def step(self) -> None:
        """Move the codebook by what was recorded since the last call; call it once after each optimizer step."""
        if self._recorded is None or self._candidates is None:
            return
        self.steps += 1
        every = self.restart.every if self.restart is not None else 0
        restarts = every > 0 and self.steps % every == 0 and self._candidates.numel() > 0
        packed = torch.cat([self._recorded, self._drawn(self._candidates)], 1) if restarts else self._recorded
        packed = all_reduce_sum(packed)
        recorded, vectors = packed[:, : 1 + self.code_dim], packed[:, 1 + self.code_dim :]
        # One vector that is NaN or infinite must not spoil its code for good.
        recorded = torch.where(recorded.isfinite().all(1, keepdim=True), recorded, 0.0)
        counts, sums = recorded[:, 0], recorded[:, 1:]
        self.update.step(self.codebook, counts, sums)
        self.share.lerp_(counts / counts.sum().clamp(min=1), 1 - self.SHARE_DECAY)
        if self.restart is not None and restarts:
            self._revive(self.restart, vectors)
        self._recorded = None

    @override
    def get_extra_state(self) -> int:
        return self.steps

    @override
    def set_extra_state(self, state: int) -> None:
        self.steps = state

    def _record(self, z_e: Tensor, codes: Tensor) -> None:
        """Add [counts | sums], `(K, 1 + D)`, and keep the vectors as candidates for a restart."""
        vectors = z_e.to(self.codebook.dtype)
        counts = code_counts(codes, self.num_codes)[:, None].to(vectors)
        record = torch.cat([counts, code_sums(vectors, codes, self.num_codes)], 1)
        self._recorded = record if self._recorded is None else self._recorded + record
        self._candidates = vectors if vectors.ndim > 1 else vectors[None]

    def _drawn(self, candidates: Tensor) -> Tensor:
        """A random candidate for each code, `(K, D)`, drawn by the step alone; of those of other ranks zeros.

        The loader deals images out in turn: rank r of n has the images r, r + n, … of the batch that a single process
        would have seen.
        """
        ranks, vectors = world_size(), candidates.reshape(-1, self.code_dim)
        generator = torch.Generator().manual_seed(self.steps)
        drawn = torch.randint(len(vectors) * ranks, (self.num_codes,), generator=generator)
        image, position = (
            drawn.div(per_image := len(vectors) // len(candidates), rounding_mode="floor"),
            drawn % per_image,
        )
        here = (image % ranks == global_rank()).to(vectors.device)
        rows = (image.div(ranks, rounding_mode="floor") * per_image + position).to(vectors.device)
        return torch.where(here[:, None], vectors[rows], 0.0)

    def _revive(self, restart: DeadCodeRestart, vectors: Tensor) -> None:
        """Put each dead code onto its vector."""
        dead = (self.share * self.num_codes < restart.threshold) & vectors.isfinite().all(1)
        self.codebook.copy_(torch.where(dead[:, None], vectors, self.codebook))
        self.share.masked_fill_(dead, 1 / self.num_codes)
        self.update.restart(dead, vectors)
