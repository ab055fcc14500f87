"""The vector quantizer: a codebook, the rule by which it learns, and restarts of unused codes.

It works on vectors `(..., D)` and knows nothing of images. Two parts are injected:

- `GradientUpdate`: the codebook follows the gradient of ‖sg[z_e] − e‖² (van den Oord et al. 2017, arXiv:1711.00937,
  equation 3, second term).
- `EMAUpdate`: the codebook follows moving averages of the vectors assigned to it (the same, appendix A.1).
- `DeadCodeRestart`: a code that is hardly used is moved onto a vector of the current batch (Dhariwal et al. 2020,
  arXiv:2005.00341, section 3.1, "random restarts").

In training, `forward` records the assignments and `step`, called once after each optimizer step, moves the codebook; in
eval mode nothing moves. In a process group the records of all ranks, and the vectors for a restart, are summed by one
`all_reduce`. Whether there is a group is decided at each call.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aevq.config.checks import Configurable, PositiveInt, Probability, settings
from aevq.nn.distributed import all_reduce_sum, global_rank, world_size
from aevq.ops.precision import at_least_float32, no_autocast
from aevq.ops.quantize import code_counts, code_sums, nearest_code, straight_through


@dataclass(frozen=True)
class Quantized:
    """The result of quantizing `z_e` of shape `(..., D)`.

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


class CodebookUpdate(Configurable, nn.Module, ABC):
    """How a codebook learns.

    Attributes:
        by_gradient: Whether the optimizer moves the codebook.
    """

    by_gradient: ClassVar[bool] = False

    @abstractmethod
    def step(self, codebook: Tensor, counts: Tensor, sums: Tensor) -> None:
        """Move `codebook` in place, given assignment counts `(K,)` and sums of vectors `(K, D)` of one step."""

    def start(self, codebook: Tensor) -> None:
        """Reset the state, if there is any, to that of a new codebook, `(K, D)`."""

    def restart(self, dead: Tensor, vectors: Tensor) -> None:
        """Reset the state of the rows `dead`, bool `(K,)`, which were set to the rows of `vectors`, `(K, D)`."""


class GradientUpdate(CodebookUpdate):
    """The codebook is a parameter that the optimizer moves."""

    by_gradient = True

    @override
    def step(self, codebook: Tensor, counts: Tensor, sums: Tensor) -> None:
        """Do nothing: the optimizer did it."""


class EMAUpdate(CodebookUpdate):
    """N_k ← γN_k + (1−γ)n_k,  m_k ← γm_k + (1−γ)Σ z_e,  e_k = m_k / N_k.

    A code without recent assignments stays where it is: both averages shrink by the same factor.

    Args:
        decay: γ in [0, 1).
    """

    SMALLEST_COUNT = 1e-12  # below it the quotient of the two averages is meaningless
    counts: Tensor
    sums: Tensor

    def __init__(self, decay: Probability = 0.98) -> None:
        super().__init__()
        self.decay = decay

    @override
    def start(self, codebook: Tensor) -> None:
        """Set N_k = 1 and m_k = e_k."""
        self.register_buffer("counts", codebook.new_ones(len(codebook)))
        self.register_buffer("sums", codebook.detach().clone())

    @override
    def step(self, codebook: Tensor, counts: Tensor, sums: Tensor) -> None:
        """Update the averages and set the codebook to their quotients."""
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        alive = self.counts > self.SMALLEST_COUNT
        codebook.copy_(torch.where(alive[:, None], self.sums / self.counts[:, None], codebook))

    @override
    def restart(self, dead: Tensor, vectors: Tensor) -> None:
        """Set N_k = 1 and m_k = the new vector, for the rows that were moved."""
        self.counts.masked_fill_(dead, 1.0)
        self.sums.copy_(torch.where(dead[:, None], vectors, self.sums))


@settings
class DeadCodeRestart:
    """Which codes count as dead, and how often they are moved.

    Attributes:
        threshold: A code is dead when its share of the assignments is below `threshold / K`; 0 disables restarts.
        every: Optimizer steps between two restarts.
    """

    threshold: Probability = 0.4
    every: PositiveInt = 50


class VectorQuantizer(nn.Module):
    """Replaces each vector by the nearest of K code vectors.

    Args:
        num_codes: Number of codes K.
        code_dim: Number of dimensions D of a code vector.
        update: How the codebook learns.
        restart: When unused codes are moved; None never moves them.
    """

    SHARE_DECAY = 0.99
    codebook: nn.Parameter
    share: Tensor

    def __init__(
        self, num_codes: int, code_dim: int, update: CodebookUpdate, restart: DeadCodeRestart | None = None
    ) -> None:
        super().__init__()
        self.num_codes = num_codes
        self.code_dim = code_dim
        self.update = update
        self.restart = restart
        self.codebook = nn.Parameter(torch.randn(num_codes, code_dim), requires_grad=update.by_gradient)
        self.register_buffer("share", torch.full((num_codes,), 1 / num_codes))
        self.steps = 0  # a plain int in the extra state: a tensor would need a synchronisation at each step
        self.update.start(self.codebook)
        self._recorded: Tensor | None = None
        self._candidates = torch.empty(0, code_dim)  # vectors of the last batch

    def lookup(self, codes: Tensor) -> Tensor:
        """Return code vectors: int64 `(...)` → `(..., D)`."""
        return F.embedding(codes, self.codebook)

    def forward(self, z_e: Tensor) -> Quantized:
        """Quantize `z_e`, `(..., D)`, in float32 at least; in training, record the assignments for `step`."""
        with no_autocast(z_e):
            z_e = at_least_float32(z_e)
            codes = nearest_code(z_e.detach(), self.codebook.detach())
            e = self.lookup(codes).to(z_e.dtype)
            if self.training:
                self._record(z_e.detach(), codes)
            commitment = (z_e - e.detach()).square().sum(-1)
            by_gradient = self.update.by_gradient
            codebook = (z_e.detach() - e).square().sum(-1) if by_gradient else torch.zeros_like(commitment)
            return Quantized(straight_through(z_e, e), codes, codebook, commitment)

    @torch.no_grad()
    def start(self, codebook: Tensor) -> None:
        """Start from this codebook, `(K, D)`, for example the centres of a k-means."""
        self.codebook.copy_(codebook)
        self.share.fill_(1 / self.num_codes)
        self.update.start(self.codebook)

    @torch.no_grad()
    def step(self) -> None:
        """Move the codebook by what was recorded since the last call. Call it once after each optimizer step."""
        if self._recorded is None:
            return
        self.steps += 1
        restart, packed = self.restart, self._recorded
        if restart is not None and (self.steps % restart.every or not self._candidates.numel()):
            restart = None
        if restart is not None:
            packed = torch.cat([packed, self._drawn(self._candidates)], 1)
        packed = all_reduce_sum(packed)
        recorded, vectors = packed[:, : 1 + self.code_dim], packed[:, 1 + self.code_dim :]
        # A vector that is NaN or infinite must not destroy its code.
        recorded = torch.where(recorded.isfinite().all(1, keepdim=True), recorded, 0.0)
        counts, sums = recorded[:, 0], recorded[:, 1:]
        self.update.step(self.codebook, counts, sums)
        self.share.lerp_(counts / counts.sum().clamp(min=1), 1 - self.SHARE_DECAY)
        if restart is not None:
            dead = (self.share * self.num_codes < restart.threshold) & vectors.isfinite().all(1)
            self.codebook.copy_(torch.where(dead[:, None], vectors, self.codebook))
            self.share.masked_fill_(dead, 1 / self.num_codes)
            self.update.restart(dead, vectors)
        self._recorded = None

    @override
    def get_extra_state(self) -> int:
        return self.steps

    @override
    def set_extra_state(self, state: int) -> None:
        self.steps = state

    def _record(self, z_e: Tensor, codes: Tensor) -> None:
        """Add [counts | sums], `(K, 1 + D)`, to the record and keep the vectors as candidates for a restart."""
        vectors = z_e.to(self.codebook.dtype)
        counts = code_counts(codes, self.num_codes)[:, None].to(vectors)
        record = torch.cat([counts, code_sums(vectors, codes, self.num_codes)], 1)
        self._recorded = record if self._recorded is None else self._recorded + record
        self._candidates = vectors if vectors.ndim > 1 else vectors[None]

    def _drawn(self, candidates: Tensor) -> Tensor:
        """Return a random candidate for each code, `(K, D)`; zeros where the candidate is on another rank.

        The draw depends on the step only. Rank r of n has the images r, r + n, … of the batch that a single process
        would have.
        """
        ranks, vectors = world_size(), candidates.reshape(-1, self.code_dim)
        generator = torch.Generator().manual_seed(self.steps)
        drawn = torch.randint(len(vectors) * ranks, (self.num_codes,), generator=generator)
        per_image = len(vectors) // len(candidates)
        image, position = drawn.div(per_image, rounding_mode="floor"), drawn % per_image
        here = (image % ranks == global_rank()).to(vectors.device)
        rows = (image.div(ranks, rounding_mode="floor") * per_image + position).to(vectors.device)
        return torch.where(here[:, None], vectors[rows], 0.0)
