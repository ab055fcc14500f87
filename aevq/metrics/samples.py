"""How samples compare with real images, in the features of an MNIST classifier, the feature net.

    fd             Fréchet distance to the test images (FD-MNIST)
    kd             kernel distance to the test images, unbiased
    precision, recall, density, coverage        k = 5
    class_entropy  entropy of the predicted classes, nats; log 10 = 2.303 is perfectly even
    confidence     mean probability of the predicted class
    nearest_train  median distance of a sample to its nearest train image, divided by that of a test image; a value well
                   below 1 means memorisation

Samples of a conditional prior are also compared class by class with the test images of their class:
`fd_of_<class>`, and `class_fd`, the mean over the classes. There are about a thousand images of a class, so these
distances are larger than that of all classes together; `real/class_fd` is that of equally many train images.

The feature net was trained on single digits of MNIST, so of other images nothing is measured. Each channel of stacked
digits goes through it separately: the features of the channels are concatenated, 128 each, classes and confidence are
those of all channels, and there are also

    modes         how many of the 10^C modes (`aevq.ops.modes`) occur, by the predicted class of each channel
    mode_kl       KL of the frequencies of these modes from the uniform distribution, nats
    mode_samples  number of samples that modes and mode_kl were computed on
"""

import time
from dataclasses import asdict

import torch
from torch import Tensor

from aevq.data import some_rows
from aevq.metrics.generate import features_of, generate
from aevq.metrics.labels import label_accuracy
from aevq.metrics.subject import Reference, Subject
from aevq.nn.feature_net import NUM_FEATURES, FeatureNet
from aevq.ops.distance import frechet_distance, kernel_distance, moments
from aevq.ops.manifold import manifold_scores, nearest_distance
from aevq.ops.modes import CLASSES, kl_to_uniform, mode_of, modes_covered
from aevq.priors.sampling import offered_options, variant_name

NEIGHBOUR = 5
KERNEL_SUBSET, KERNEL_SUBSETS = 1000, 50


def distances_to_test(features: Tensor, reference: Reference) -> dict[str, float]:
    """Return `fd` and `kd` of features `(N, C·128)` to those of the test images."""
    kd = kernel_distance(features, reference.test, KERNEL_SUBSET, KERNEL_SUBSETS, seed=0)
    return {"fd": frechet_distance(moments(features), reference.test_moments), "kd": kd}


def class_distances(features: Tensor, labels: Tensor, reference: Reference, test_labels: Tensor) -> dict[str, float]:
    """Return `fd_of_<class>` of features `(N, C·128)` with classes `(N,)`, and their mean, `class_fd`."""
    distances = {}
    for y in labels.unique().tolist():
        ours, theirs = features[labels == y], reference.test[test_labels == y]
        if min(len(ours), len(theirs)) > 1:
            distances[f"fd_of_{y}"] = frechet_distance(moments(ours), moments(theirs))
    return distances | ({"class_fd": sum(distances.values()) / len(distances)} if distances else {})


@torch.inference_mode()
def mode_metrics(features: Tensor, net: FeatureNet) -> dict[str, float]:
    """Return `modes`, `mode_kl` and `mode_samples` of images by their features; nothing for images of one channel."""
    probabilities = _probabilities(features, net)
    channels = probabilities.shape[1]
    if channels == 1:
        return {}
    modes = mode_of(probabilities.argmax(2))
    kl = kl_to_uniform(modes, CLASSES**channels)
    return {"modes": float(modes_covered(modes)), "mode_kl": kl, "mode_samples": float(len(modes))}


def _probabilities(features: Tensor, net: FeatureNet) -> Tensor:
    """Return the probability of each digit in each channel: features `(N, C·128)` → `(N, C, 10)`."""
    by_channel = features.view(len(features), -1, NUM_FEATURES)
    return net.classes(by_channel.to(next(net.parameters()).device)).softmax(2).cpu()


@torch.inference_mode()
def sample_metrics(
    images: Tensor, net: FeatureNet, reference: Reference, mode_samples: int = 0, labels: Tensor | None = None
) -> dict[str, float]:
    """Return the metrics of samples.

    Args:
        images: Samples, `(M, C, 28, 28)` in [0, 1]. All metrics except those of the modes are computed on the first N,
            with the N test images of `reference`, because sets of two sizes would be biased differently.
        net: The feature net.
        reference: The real images; `nearest_train` is measured only if it has all train images.
        mode_samples: Samples that the modes are counted on; 0 leaves them out.
        labels: Classes that the samples were drawn for, `(M,)`; None if they were drawn for none.
    """
    every = features_of(net, images)
    features = every[: len(reference.test)]
    probabilities = _probabilities(features, net).flatten(0, 1)
    classes = torch.bincount(probabilities.argmax(1), minlength=CLASSES) / len(probabilities)
    metrics = {
        **distances_to_test(features, reference),
        **asdict(manifold_scores(reference.test, features, NEIGHBOUR)),
        "class_entropy": float(torch.special.entr(classes).sum()),
        "confidence": float(probabilities.amax(1).mean()),
    }
    if reference.all_train is not None:
        nearest = float(nearest_distance(features, reference.all_train).median())
        metrics["nearest_train"] = nearest / reference.test_to_train
    if labels is not None and reference.test_labels is not None:
        metrics |= class_distances(features, labels[: len(features)], reference, reference.test_labels)
    if mode_samples:
        metrics |= mode_metrics(every[:mode_samples], net)
    return metrics


def real(subject: Subject) -> dict[str, float]:
    """Measure real images in place of samples: the values that a perfect sampler would reach.

    `label_accuracy` is of the images of the split, without a class that was left out of training.
    """
    reference, count = subject.reference, subject.num_mode_samples
    metrics = distances_to_test(reference.train, reference)
    if reference.train_labels is not None and reference.test_labels is not None:
        metrics |= class_distances(reference.train, reference.train_labels, reference, reference.test_labels)
    rows = some_rows(count, len(subject.x))
    metrics |= mode_metrics(subject.features[rows], subject.feature_net) if count else {}
    if subject.classifier is not None:
        left_out = -1 if subject.data.leave_out is None else subject.data.leave_out
        seen = subject.labels != left_out
        metrics["label_accuracy"] = label_accuracy(subject.classifier, subject.x[seen], subject.labels[seen])
    return {f"real/{metric}": value for metric, value in metrics.items()}


def samples(subject: Subject, prior: str) -> dict[str, float]:
    """Measure the samples of one prior, and the wall time of drawing and decoding them.

    Samples of a conditional prior are of labels that are drawn with the frequencies of the train split. Samples with a
    temperature, with guidance or of the most probable codes are named after that: `samples/<prior>@temperature=0.9/fd`.
    """
    metrics = _samples(subject, prior, {})
    offered = offered_options(subject.priors[prior])
    for option, values in subject.settings.sample_options.items():
        for value in values if option in offered else ():
            metrics |= _samples(subject, prior, {option: value})
    return metrics


def _samples(subject: Subject, prior: str, options: dict[str, float]) -> dict[str, float]:
    n = max(subject.num_samples, subject.num_mode_samples)
    labels = subject.sample_labels(n) if subject.priors[prior].num_classes is not None else None
    given = {} if labels is None else {"labels": labels}
    start = time.perf_counter()
    images = generate(subject.model, subject.priors[prior], n, subject.settings.seed, **given, **options)
    seconds = time.perf_counter() - start
    metrics = sample_metrics(images, subject.feature_net, subject.reference, subject.num_mode_samples, labels)
    if labels is not None and subject.classifier is not None:
        metrics["label_accuracy"] = label_accuracy(subject.classifier, images, labels)
    metrics |= {"seconds": seconds, "milliseconds": 1000 * seconds / n}
    name = variant_name(prior, options)
    return {f"samples/{name}/{metric}": value for metric, value in metrics.items()}
