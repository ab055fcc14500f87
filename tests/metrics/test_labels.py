"""Samples of conditional priors: which labels they are of, and whether they show them."""

from dataclasses import replace

import pytest
import torch

from aevq.data import MNISTDataModule
from aevq.metrics.labels import label_accuracy
from aevq.metrics.protocol import EvaluationSettings, run_protocol
from aevq.metrics.samples import real
from aevq.metrics.subject import Subject
from aevq.models import AE
from aevq.nn import MLP
from aevq.priors import StandardNormal

SETTINGS = EvaluationSettings(split="test", samples=200, memorisation=False, probes=False)


class Digits(StandardNormal):
    """A conditional prior that keeps the labels that it is asked for; z shrinks with the temperature."""

    num_classes = 10

    def sample(self, n, generator=None, labels=None, temperature=1.0):
        self.asked = labels
        return super().sample(n, generator) * temperature


def subject_of(data, settings=SETTINGS, model=None):
    data.prepare()
    model = model or AE(latent_dim=4, network=MLP([8])).eval()
    priors = {"digits": Digits(model.latent_spec), "standard_normal": StandardNormal(model.latent_spec)}
    return Subject(model, priors, data, None, settings)


@pytest.fixture(scope="module")
def classified():
    """A subject whose train split lacks class 3, and its metrics, with a classifier that is trained for shorter."""
    subject = subject_of(MNISTDataModule("mnist5k", leave_out=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aevq.metrics.labels.TRAINING", ((40_000, 2e-3),))
        return subject, run_protocol(subject)


def test_a_class_that_was_left_out_is_neither_drawn_nor_averaged_in(classified):
    subject, evaluation = classified
    asked = subject.priors["digits"].asked
    assert sorted(asked.unique().tolist()) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert len(asked) == 200
    seen = subject.labels != 3
    expected = label_accuracy(subject.classifier, subject.x[seen], subject.labels[seen])
    assert evaluation.metrics["real/label_accuracy"] == expected
    assert expected > label_accuracy(subject.classifier, subject.x, subject.labels)


def test_labels_have_the_frequencies_of_the_train_split():
    subject = subject_of(MNISTDataModule("mnist5k", leave_out=1))
    drawn, train = subject.sample_labels(50_000), subject.data.labels("train")
    torch.testing.assert_close(drawn.bincount() / 50_000, train.bincount() / len(train), atol=0.01, rtol=0)


def test_only_conditional_priors_have_a_label_accuracy(classified):
    metrics = classified[1].metrics
    assert 0 <= metrics["samples/digits/label_accuracy"] <= 1
    assert "samples/standard_normal/label_accuracy" not in metrics
    off = EvaluationSettings(split="test", samples=20, memorisation=False, probes=False, label_accuracy=False)
    assert not [
        name for name in run_protocol(subject_of(MNISTDataModule("mnist5k"), off)).metrics if "label_ac" in name
    ]


def test_samples_of_a_class_are_compared_with_images_of_that_class(classified):
    metrics, classes = classified[1].metrics, [0, 1, 2, 4, 5, 6, 7, 8, 9]
    for subject in ("samples/digits", "real"):
        distances = {name: value for name, value in metrics.items() if name.startswith(f"{subject}/fd_of_")}
        assert sorted(distances) == [f"{subject}/fd_of_{y}" for y in classes]
        assert metrics[f"{subject}/class_fd"] == pytest.approx(sum(distances.values()) / 9)
    assert metrics["real/class_fd"] < metrics["samples/digits/class_fd"]
    assert "samples/standard_normal/class_fd" not in metrics


def test_samples_with_an_option_are_named_after_it_and_those_without_stay_the_same(classified):
    settings = replace(SETTINGS, label_accuracy=False, temperature=[0.5, 1.0])
    metrics = run_protocol(subject_of(classified[0].data, settings, classified[0].model)).metrics
    plain = classified[1].metrics
    assert metrics["samples/digits/fd"] == metrics["samples/digits@temperature=1/fd"] == plain["samples/digits/fd"]
    assert metrics["samples/digits@temperature=0.5/fd"] != plain["samples/digits/fd"]
    assert not [name for name in metrics if name.startswith("samples/standard_normal@")]  # offers no temperature


def test_an_option_that_no_prior_offers_is_warned_of(classified, caplog):
    settings = replace(SETTINGS, label_accuracy=False, guidance=[1.0])
    run_protocol(subject_of(classified[0].data, settings, classified[0].model))
    assert "guidance: ignored, no prior of digits, standard_normal has this option" in caplog.text


def test_drawing_samples_is_timed_and_times_are_no_metrics(classified):
    evaluation = classified[1]
    assert not [name for name in evaluation.metrics if name.endswith(("seconds", "milliseconds"))]
    for prior in ("digits", "standard_normal"):
        seconds = evaluation.costs[f"samples/{prior}/seconds"]
        assert seconds > 0
        assert evaluation.costs[f"samples/{prior}/milliseconds"] == pytest.approx(1000 * seconds / 200)


def test_images_that_are_those_of_their_labels_are_recognised():
    subject = subject_of(MNISTDataModule("mnist5k"))
    assert label_accuracy(subject.classifier, subject.x, (subject.labels + 1) % 10) < 0.05
    accuracy = real(subject)["real/label_accuracy"]
    assert accuracy == label_accuracy(subject.classifier, subject.x, subject.labels)
    assert accuracy > 0.93  # of 4,000 train images; of MNIST's it is above 0.98
