"""The first figures of a run, on the test split: reconstruction, loss terms, codebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aevq.generate import encode_all, reconstruct_all
from aevq.metrics import codebook_metrics, reconstruction_metrics
from aevq.metrics.terms import loss_terms

if TYPE_CHECKING:
    from aevq.data import MNISTDataModule
    from aevq.models import LatentModel

__all__ = ["score"]


def score(model: LatentModel, data: MNISTDataModule) -> dict[str, float]:
    """Figures by name; what the model does not have is absent.

    Args:
        model: In eval mode.
        data: Its test split is measured.
    """
    x = data.images("test")
    return {
        **reconstruction_metrics(x, reconstruct_all(model, x)),
        **loss_terms(lambda chunk: model.terms(chunk.to(model.device)).means(), x),
        **codebook_metrics(model.latent_spec, encode_all(model, x)),
    }
