from types import SimpleNamespace

import pytest
import torch

from aevq.latents import CodeSpec
from aevq.metrics.latents import anomaly, codebook, probe_metrics
from aevq.priors import Marginals, Uniform


def test_perplexity_is_computed_over_the_whole_split_and_not_averaged_over_batches():
    codes = torch.tensor([[[0, 0]], [[1, 1]], [[2, 2]], [[2, 2]]])
    metrics = codebook(SimpleNamespace(z=codes, spec=CodeSpec(4, 1, 2)))
    assert metrics == {"codebook/perplexity": pytest.approx(2**1.5), "codebook/usage": 0.75}


def test_an_encoded_class_is_found_another_one_is_chance_and_of_two_the_accuracy_is_the_mean():
    def clusters(n):
        """Vectors whose first four dimensions encode a first class; a second class is not encoded."""
        labels = torch.stack([torch.arange(n) % 4, torch.arange(n) // 4 % 4], 1)
        return torch.cat([torch.eye(4)[labels[:, 0]], torch.rand(n, 4)], 1), labels

    (train, classes), (x, labels) = clusters(400), clusters(200)
    encoded, absent, both = (
        probe_metrics("a", train, classes[:, channels], x, labels[:, channels]) for channels in ([0], [1], [0, 1])
    )
    assert encoded == {"probe/a/linear": 1.0, "probe/a/knn": 1.0}
    assert all(value < 0.45 for value in absent.values())
    assert both == {name: (encoded[name] + absent[name]) / 2 for name in encoded}


def test_auroc_is_the_probability_that_an_unseen_digit_scores_higher():
    score, labels, spec = torch.rand(200).round(decimals=1), (torch.rand(200) < 0.3).long(), CodeSpec(2, 1, 1)
    subject = SimpleNamespace(
        data=SimpleNamespace(leave_out=1),
        settings=SimpleNamespace(split="test"),
        x=torch.zeros(200, 1, 1, 1),
        x_hat=labels.view(200, 1, 1, 1).float(),
        labels=labels,
        loss_terms={"distortion": score, "kl": torch.zeros(200)},
        code_lengths={"marginals": -labels.float(), "uniform": torch.ones(200)},
        priors={"marginals": Marginals(spec), "uniform": Uniform(spec)},
    )
    pairs = score[labels == 1][:, None] - score[labels == 0][None]
    expected = float(((pairs > 0).float() + 0.5 * (pairs == 0).float()).mean())
    assert anomaly(subject) == {
        "anomaly/reconstruction_error/auroc": 1,
        "anomaly/elbo/auroc": pytest.approx(expected, rel=1e-5),
        "anomaly/marginals_code_length/auroc": 0,
    }
