"""How well the digit's class can be predicted from a latent, by two simple classifiers; beside it, from raw pixels.

    probe/<vectors>/linear   accuracy of a logistic regression
    probe/<vectors>/knn      accuracy of the five nearest neighbours

Both are fitted to standardised vectors of the train split and scored on the evaluated split. For stacked digits each
channel's class is predicted separately, and the accuracy is the mean over channels: chance is 1/10 in both cases.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.latents import LatentSet
    from aevq.metrics.subject import Subject

__all__ = ["probe_metrics", "probes"]

NEIGHBOURS = 5


def probe_metrics(name: str, train: Tensor, train_labels: Tensor, x: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the accuracies of both probes.

    Args:
        name: What the vectors are: `latent` or `pixels`.
        train: Vectors, `(N, F)`.
        train_labels: Their classes, channel by channel, int64 `(N, C)`.
        x: Vectors to classify, `(M, F)`.
        labels: Their classes, int64 `(M, C)`.

    Returns:
        `probe/<name>/linear` and `probe/<name>/knn`, in [0, 1].
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.multioutput import MultiOutputClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    seen, classes = train.numpy(), train_labels.numpy()
    linear, knn = MultiOutputClassifier(LogisticRegression(max_iter=200)), KNeighborsClassifier(NEIGHBOURS)
    metrics = {}
    # The neighbours of a vector are searched once for all its classes.
    for kind, probe, target in (("linear", linear, classes), ("knn", knn, classes.squeeze())):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 200 iterations are the protocol
            fitted = make_pipeline(StandardScaler(), probe).fit(seen, target)
        found = fitted.predict(x.numpy()).reshape(labels.shape)
        metrics[f"probe/{name}/{kind}"] = float((found == labels.numpy()).mean())
    return metrics


@torch.inference_mode()
def probes(subject: Subject, latents: LatentSet) -> dict[str, float]:
    """Measure both probes on latents and on pixels."""
    train, digits = subject.data.digits("train"), subject.data.digits(subject.settings.split)
    of_train, of_split = (subject.model.embed(z.to(subject.model.device)).cpu() for z in (latents.train, subject.z))
    pixels = subject.data.images("train").flatten(1), subject.x.flatten(1)
    return {
        **probe_metrics("latent", of_train, train, of_split, digits),
        **probe_metrics("pixels", pixels[0], train, pixels[1], digits),
    }
