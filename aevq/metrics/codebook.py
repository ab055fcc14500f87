"""How a codebook is used over a whole split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aevq.latents import CodeSpec
from aevq.ops.quantize import code_counts, perplexity, usage

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.latents import LatentSpec

__all__ = ["codebook_metrics"]


def codebook_metrics(spec: LatentSpec, latents: Tensor) -> dict[str, float]:
    """Metrics of the codes of a split.

    Args:
        spec: What the latents are.
        latents: All latents of the split, `(N, *spec.shape)`.

    Returns:
        `codebook/perplexity` (1 to K, of the counts accumulated over the split) and `codebook/usage` (share of codes
        that occur); nothing for latents that are not codes.
    """
    if not isinstance(spec, CodeSpec):
        return {}
    counts = code_counts(latents, spec.num_codes)
    return {"codebook/perplexity": float(perplexity(counts)), "codebook/usage": float(usage(counts))}
