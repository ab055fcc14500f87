"""How the latents are used: the codes of a codebook, and the dimensions of a posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from aevq.latents import CodeSpec
from aevq.models import VariationalModel
from aevq.nn.memory import by_chunks
from aevq.ops.quantize import code_counts, perplexity, usage

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.metrics.subject import Subject

__all__ = ["active_units", "codebook", "codebook_metrics"]

CHUNK = 500
ACTIVE = 0.01  # variance of a posterior mean over the data, above which its dimension counts as active


def codebook_metrics(codes: Tensor, num_codes: int) -> dict[str, float]:
    """Return how a codebook is used over a whole split.

    Args:
        codes: All codes of the split, int64 of any shape.
        num_codes: K.

    Returns:
        `codebook/perplexity` (1 to K) and `codebook/usage` (share of codes that occur), of the counts over the split.
    """
    counts = code_counts(codes, num_codes)
    return {"codebook/perplexity": float(perplexity(counts)), "codebook/usage": float(usage(counts))}


def codebook(subject: Subject) -> dict[str, float]:
    """Measure how the codebook is used, if the latents are codes."""
    return codebook_metrics(subject.z, subject.spec.num_codes) if isinstance(subject.spec, CodeSpec) else {}


@torch.inference_mode()
def active_units(subject: Subject) -> dict[str, float]:
    """Measure the KL of each dimension of a posterior, and how many dimensions are active.

    Active are those whose posterior mean varies by more than 0.01 over the data (Burda et al. 2015, arXiv:1509.00519).
    """
    model = subject.model
    if not isinstance(model, VariationalModel):
        return {}
    kl = by_chunks(lambda x: model.kl_per_dimension(x.to(subject.model.device)), subject.x, CHUNK).mean(0)
    active = float((subject.z.var(0) > ACTIVE).sum())
    return {"latent/active_units": active} | {f"latent/kl/{d}": float(nats) for d, nats in enumerate(kl)}
