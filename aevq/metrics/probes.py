"""How much of the digit's class a latent tells, by two simple classifiers beside the same on raw pixels.

    probe/linear   accuracy of a logistic regression       probe/knn   accuracy of the five nearest neighbours

Both see standardised vectors of the train split and are scored on the evaluated split. Of stacked digits each channel's
class is asked for by itself, and the accuracy is the mean over the channels: 1/10 is chance, as for single digits.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["probe_metrics"]

NEIGHBOURS = 5


def probe_metrics(name: str, train: Tensor, train_labels: Tensor, x: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracies of both probes.

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
    figures = {}
    # The neighbours of a vector are looked for once, whatever number of classes they tell.
    for kind, probe, target in (("linear", linear, classes), ("knn", knn, classes.squeeze())):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 200 iterations are the protocol
            fitted = make_pipeline(StandardScaler(), probe).fit(seen, target)
        found = fitted.predict(x.numpy()).reshape(labels.shape)
        figures[f"probe/{name}/{kind}"] = float((found == labels.numpy()).mean())
    return figures
