"""How well a score tells a digit that was left out of training from the others.

AUROC: the probability that an image of the digit left out scores higher than one of the others; 0.5 is chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aevq.priors import Uniform

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.metrics.subject import Subject

__all__ = ["anomaly", "anomaly_metrics"]


def anomaly_metrics(scores: dict[str, Tensor], unseen: Tensor) -> dict[str, float]:
    """Return the AUROC of each score.

    Args:
        scores: By name, `(N,)`; higher is less like the training data.
        unseen: Bool `(N,)`, true for images of the digit that was left out of training.

    Returns:
        `anomaly/<name>/auroc`, in [0, 1].
    """
    from sklearn.metrics import roc_auc_score

    return {
        f"anomaly/{name}/auroc": float(roc_auc_score(unseen.numpy(), score.double().numpy()))
        for name, score in scores.items()
    }


def anomaly(subject: Subject) -> dict[str, float]:
    """Measure how well errors, ELBO and code lengths detect the digit left out, which only the test split contains."""
    if subject.data.leave_out is None or subject.settings.split != "test":
        return {}
    scores = {"reconstruction_error": (subject.x_hat - subject.x).square().mean((1, 2, 3))}
    if "kl" in subject.loss_terms:
        scores["elbo"] = subject.loss_terms["distortion"] + subject.loss_terms["kl"]
    for name, nats in subject.code_lengths.items():
        if type(subject.priors[name]) is not Uniform:  # it gives all codes the same length
            scores[f"{name}_code_length"] = nats
    return anomaly_metrics(scores, subject.labels == subject.data.leave_out)
