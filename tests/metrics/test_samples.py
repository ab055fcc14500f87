import math
from itertools import pairwise

import pytest
import torch

from aevq.metrics.generate import features_of
from aevq.metrics.samples import distances_to_test, mode_metrics, sample_metrics
from aevq.metrics.subject import Reference
from aevq.nn.feature_net import FeatureNet, load_feature_net
from aevq.ops.distance import frechet_distance, moments


@pytest.fixture
def net():
    torch.manual_seed(0)
    return FeatureNet().eval()


def reference_of(net, test, train, all_train=None):
    every = features_of(net, all_train) if all_train is not None else None
    return Reference(features_of(net, test), features_of(net, train), every)


@pytest.fixture
def reference(net, digits):
    return reference_of(net, digits[::2], digits[1::2], digits[1::2])


def test_features_do_not_depend_on_the_chunk(net, digits):
    torch.testing.assert_close(features_of(net, digits)[700:702], net.features(digits[700:702]), atol=1e-5, rtol=1e-5)


def test_the_test_images_as_samples_are_perfect(net, reference, digits):
    metrics = sample_metrics(digits[::2], net, reference)
    assert metrics["fd"] == pytest.approx(0, abs=1e-6)
    assert metrics["precision"] == metrics["recall"] == metrics["coverage"] == 1
    assert metrics["nearest_train"] == pytest.approx(1)


def test_train_images_as_samples_show_as_memorised(net, reference, digits):
    metrics = sample_metrics(digits[1::2], net, reference)
    assert metrics["nearest_train"] == pytest.approx(0, abs=1e-3)
    assert metrics["fd"] == pytest.approx(distances_to_test(reference.train, reference)["fd"])


def test_noise_is_worse_than_real_images_by_every_metric(net, digits):
    reference = reference_of(net, digits[::2], digits[1::2])
    noise = sample_metrics(torch.rand(500, 1, 28, 28), net, reference)
    assert noise["fd"] > 3 * distances_to_test(reference.train, reference)["fd"]
    assert noise["precision"] < 0.5
    assert noise["coverage"] < 0.5
    assert 0 <= noise["class_entropy"] <= math.log(10)
    assert "nearest_train" not in noise  # memorisation was not looked for


def blur(x, strength):
    return torch.nn.functional.avg_pool2d(x, 2 * strength + 1, 1, strength, count_include_pad=True)


def noise(x, strength):
    return (x + 0.1 * strength * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def drop_digits(x, strength):
    """`strength` of the ten classes go; the images are a hundred of each, in order."""
    return x.view(10, -1, *x.shape[1:])[strength:].flatten(0, 1)


@pytest.mark.parametrize("spoil", [blur, noise, drop_digits])
def test_the_frechet_distance_rises_with_each_kind_of_damage(spoil, digits, trained):
    clean = moments(features_of(trained, digits))
    distances = [frechet_distance(moments(features_of(trained, spoil(digits, s))), clean) for s in (0, 1, 2, 3)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert all(b > a + 0.1 for a, b in pairwise(distances)), distances


@pytest.fixture(scope="module")
def trained():
    return load_feature_net()


@pytest.fixture
def stack(digits):
    """Stacks of the thousand digits, each in the red channel once: (1000, 3, 28, 28)."""
    rows = torch.stack([torch.randperm(1000, generator=torch.Generator().manual_seed(c)) for c in range(3)], 1)
    return digits[:, 0][rows]


def test_each_channel_is_seen_by_itself(trained, stack):
    features = features_of(trained, stack[:20])
    assert features.shape == (20, 3 * 128)
    for channel, part in enumerate(features.split(128, 1)):
        alone = trained.features(stack[:20, channel : channel + 1])
        torch.testing.assert_close(part, alone, atol=1e-5, rtol=1e-5)


def test_one_stack_of_each_mode_covers_all_modes(trained, digits):
    of_class = digits[::100, 0]  # the first zero, the first one …
    modes = torch.cartesian_prod(*[torch.arange(10)] * 3)
    metrics = mode_metrics(features_of(trained, of_class[modes]), trained)
    assert metrics == {"modes": 1000, "mode_kl": pytest.approx(0, abs=1e-9), "mode_samples": 1000}


def test_one_stack_again_and_again_covers_one_mode(trained, stack):
    metrics = mode_metrics(features_of(trained, stack[:1].repeat(50, 1, 1, 1)), trained)
    assert metrics == {"modes": 1, "mode_kl": pytest.approx(math.log(1000)), "mode_samples": 50}


def test_the_test_stacks_as_samples_are_perfect(trained, stack):
    reference = reference_of(trained, stack[:200], stack[200:400])
    metrics = sample_metrics(stack[:200], trained, reference, mode_samples=150)
    assert metrics["fd"] == pytest.approx(0, abs=1e-4)
    assert metrics["precision"] == metrics["recall"] == metrics["coverage"] == 1
    assert metrics["mode_samples"] == 150
    assert 100 < metrics["modes"] <= 150


def test_more_samples_for_the_modes_change_no_other_metric(trained, stack):
    reference = reference_of(trained, stack[:200], stack[200:400])
    few, many = (sample_metrics(stack[400 : 400 + n], trained, reference, n) for n in (200, 600))
    assert (few["mode_samples"], many["mode_samples"]) == (200, 600)
    for name in ("modes", "mode_kl", "mode_samples"):
        del few[name], many[name]
    assert few == pytest.approx(many, rel=1e-4)


def test_single_digits_have_no_modes(trained, digits):
    reference = reference_of(trained, digits[::10], digits[1::10])
    metrics = sample_metrics(digits[2::10], trained, reference, mode_samples=100)
    assert not [name for name in metrics if "mode" in name]
