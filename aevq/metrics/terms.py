"""The loss terms of a model over a whole split: image by image, and averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aevq.nn.memory import by_chunks
from aevq.ops.units import nats_to_bits

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["image_terms", "mean_terms"]

CHUNK = 500


@torch.no_grad()
def image_terms(terms: Callable[[Tensor], dict[str, Tensor]], x: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Loss terms of each image.

    Args:
        terms: Images `(B, C, H, W)` → each loss term `(B,)`, by name, of a model in eval mode.
        x: Images, `(N, C, H, W)` in [0, 1].
        seed: Of the noise in the terms (a VAE's z).

    Returns:
        Each term `(N,)`, nats per image, on the CPU.
    """
    names: list[str] = []

    def table(chunk: Tensor) -> Tensor:
        values = terms(chunk)
        names[:] = values
        return torch.stack(list(values.values()), 1)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        columns = by_chunks(table, x, CHUNK).unbind(1)
    return dict(zip(names, columns, strict=True))


def mean_terms(terms: dict[str, Tensor]) -> dict[str, float]:
    """Means of `image_terms`.

    Returns:
        `loss/<term>`, nats per image; where there is a `kl`, also `rate/kl_bits`, bits per image.
    """
    means = {f"loss/{name}": float(values.double().mean()) for name, values in terms.items()}
    return means | ({"rate/kl_bits": nats_to_bits(means["loss/kl"])} if "kl" in terms else {})
