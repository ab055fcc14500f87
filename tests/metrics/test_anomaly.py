import pytest
import torch

from aevq.metrics.anomaly import anomaly_metrics


def test_auroc_is_the_probability_that_an_unseen_digit_scores_higher():
    score, unseen = torch.rand(200).round(decimals=1), torch.rand(200) < 0.3
    pairs = score[unseen][:, None] - score[~unseen][None]
    expected = ((pairs > 0).float() + 0.5 * (pairs == 0).float()).mean()
    assert anomaly_metrics({"a": score}, unseen)["anomaly/a/auroc"] == pytest.approx(float(expected), rel=1e-5)


def test_one_for_a_score_that_separates_and_a_half_for_one_that_does_not():
    unseen = torch.arange(10) < 3
    metrics = anomaly_metrics({"right": unseen.float(), "constant": torch.ones(10), "wrong": -unseen.float()}, unseen)
    assert metrics == {"anomaly/right/auroc": 1, "anomaly/constant/auroc": 0.5, "anomaly/wrong/auroc": 0}
