"""Whether a score tells a digit that the model has never seen from those that it knows.

AUROC: the probability that an image of the digit left out scores higher than one of the others; 0.5 is chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["anomaly_metrics"]


def anomaly_metrics(scores: dict[str, Tensor], unseen: Tensor) -> dict[str, float]:
    """AUROC of each score.

    Args:
        scores: By name, `(N,)`; higher is stranger.
        unseen: Bool `(N,)`, true for images of the digit that was left out of training.

    Returns:
        `anomaly/<name>/auroc`, in [0, 1].
    """
    from sklearn.metrics import roc_auc_score

    return {
        f"anomaly/{name}/auroc": float(roc_auc_score(unseen.numpy(), score.double().numpy()))
        for name, score in scores.items()
    }
