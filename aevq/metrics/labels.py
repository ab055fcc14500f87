"""Whether samples of a class show that class, by a classifier of pixels that shares nothing with the feature net.

    label_accuracy = share of the samples with label y that the classifier calls y

The classifier is a small network of scikit-learn, trained on the train images of the data set in use: on full MNIST it
takes 12 s of CPU time and is right on 98.2 % of the test images. Its accuracy on held-out images is stated beside that
on samples, as `real/label_accuracy`: the value that perfect samples would reach.
"""

import warnings
from typing import Any

import torch
from torch import Tensor

BATCH = 128
TRAINING = ((275_000, 2e-3), (110_000, 2e-4))  # images seen, those of several epochs, and learning rate


def fit_pixel_classifier(x: Tensor, labels: Tensor) -> Any:
    """Return scikit-learn's classifier of images `(N, C, H, W)` in [0, 1] by their classes, int64 `(N,)`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier((256,), batch_size=min(BATCH, len(x)), warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is fixed
        for images, learning_rate in TRAINING:
            classifier.set_params(max_iter=max(1, round(images / len(x))), learning_rate_init=learning_rate)
            classifier.fit(x.flatten(1).numpy(), labels.numpy())
    return classifier


def label_accuracy(classifier: Any, x: Tensor, labels: Tensor) -> float:
    """Return the share of images `(N, C, H, W)` in [0, 1] that the classifier gives their label, int64 `(N,)`."""
    return float((torch.from_numpy(classifier.predict(x.flatten(1).numpy())) == labels).double().mean())
