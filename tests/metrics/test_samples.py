import math

import pytest
import torch

from aevq.metrics.samples import Reference, features_of, sample_metrics
from aevq.nn.feature_net import FeatureNet


@pytest.fixture
def net():
    torch.manual_seed(0)
    return FeatureNet().eval()


@pytest.fixture
def reference(net, digits):
    return Reference.of(net, digits[::2], digits[1::2])


def test_features_do_not_depend_on_the_chunk(net, digits):
    torch.testing.assert_close(features_of(net, digits)[700:702], net.features(digits[700:702]), atol=1e-5, rtol=1e-5)


def test_the_test_images_as_samples_are_perfect(net, reference, digits):
    figures = sample_metrics("a", digits[::2], net, reference)
    assert figures["samples/a/fd"] == pytest.approx(0, abs=1e-6)
    assert figures["samples/a/precision"] == figures["samples/a/recall"] == figures["samples/a/coverage"] == 1
    assert figures["samples/a/nearest_train"] == pytest.approx(1)


def test_train_images_as_samples_show_as_memorised(net, reference, digits):
    figures = sample_metrics("a", digits[1::2], net, reference)
    assert figures["samples/a/nearest_train"] == pytest.approx(0, abs=1e-3)
    assert figures["samples/a/fd"] == pytest.approx(reference.floor()["floor/fd"])


def test_noise_is_worse_than_the_floor_in_every_figure(net, reference):
    floor = sample_metrics("floor", torch.rand(500, 1, 28, 28), net, reference)
    assert floor["samples/floor/fd"] > 3 * reference.floor()["floor/fd"]
    assert floor["samples/floor/precision"] < 0.5
    assert floor["samples/floor/coverage"] < 0.5
    assert 0 <= floor["samples/floor/class_entropy"] <= math.log(10)
