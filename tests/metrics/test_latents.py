import pytest
import torch

from aevq.metrics.latents import anomaly_metrics, codebook_metrics, probe_metrics


def test_perplexity_is_computed_over_the_whole_split_and_not_averaged_over_batches():
    codes = torch.tensor([[[0, 0]], [[1, 1]], [[2, 2]], [[2, 2]]])
    assert codebook_metrics(codes, 4) == {"codebook/perplexity": pytest.approx(2**1.5), "codebook/usage": 0.75}


def clusters(n):
    """Vectors whose first four dimensions encode a first class; a second class is not encoded."""
    labels = torch.stack([torch.arange(n) % 4, torch.arange(n) // 4 % 4], 1)
    return torch.cat([torch.eye(4)[labels[:, 0]], torch.rand(n, 4)], 1), labels


def test_an_encoded_class_is_found_and_another_one_is_chance():
    train, x = clusters(400), clusters(200)
    encoded = probe_metrics("latent", train[0], train[1][:, :1], x[0], x[1][:, :1])
    absent = probe_metrics("latent", train[0], train[1][:, 1:], x[0], x[1][:, 1:])
    assert encoded == {"probe/latent/linear": 1.0, "probe/latent/knn": 1.0}
    assert all(value < 0.45 for value in absent.values())


def test_of_two_classes_the_accuracy_is_the_mean():
    train, x = clusters(400), clusters(200)
    alone = [probe_metrics("a", train[0], train[1][:, c : c + 1], x[0], x[1][:, c : c + 1]) for c in range(2)]
    both = probe_metrics("a", train[0], train[1], x[0], x[1])
    for name in ("probe/a/linear", "probe/a/knn"):
        assert both[name] == (alone[0][name] + alone[1][name]) / 2


def test_auroc_is_the_probability_that_an_unseen_digit_scores_higher():
    score, unseen = torch.rand(200).round(decimals=1), torch.rand(200) < 0.3
    pairs = score[unseen][:, None] - score[~unseen][None]
    expected = ((pairs > 0).float() + 0.5 * (pairs == 0).float()).mean()
    assert anomaly_metrics({"a": score}, unseen)["anomaly/a/auroc"] == pytest.approx(float(expected), rel=1e-5)


def test_one_for_a_score_that_separates_and_a_half_for_one_that_does_not():
    unseen = torch.arange(10) < 3
    metrics = anomaly_metrics({"right": unseen.float(), "constant": torch.ones(10), "wrong": -unseen.float()}, unseen)
    assert metrics == {"anomaly/right/auroc": 1, "anomaly/constant/auroc": 0.5, "anomaly/wrong/auroc": 0}
