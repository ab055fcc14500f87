import math

import pytest
import torch

from aevq.ops.modes import classes_of, kl_to_uniform, mode_of, modes_covered


def test_the_digits_of_a_mode_are_its_classes():
    assert mode_of(torch.tensor([[1, 2, 3], [0, 0, 7], [9, 9, 9]])).tolist() == [123, 7, 999]
    assert mode_of(torch.tensor([[4], [0]])).tolist() == [4, 0]


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_classes_and_modes_are_each_others_inverse(channels):
    modes = torch.arange(10**channels)
    classes = classes_of(modes, channels)
    assert classes.shape == (10**channels, channels)
    assert 0 <= classes.min() <= classes.max() <= 9
    assert mode_of(classes).equal(modes)


def test_uniform_modes_have_no_kl_and_a_single_mode_has_the_largest():
    for modes, covered, kl in ((torch.arange(1000).repeat(3), 1000, 0), (torch.full((50,), 123), 1, math.log(1000))):
        assert modes_covered(modes) == covered
        assert kl_to_uniform(modes, 1000) == pytest.approx(kl, abs=1e-12)


def test_the_kl_is_that_of_the_definition():
    modes = torch.tensor([0, 0, 0, 1, 2, 2])
    p = torch.tensor([3, 1, 2, 0]).double() / 6
    expected = sum(float(q) * math.log(float(q) * 4) for q in p if q > 0)
    assert kl_to_uniform(modes, 4) == pytest.approx(expected)


def test_the_kl_of_uniform_samples_has_the_bias_of_the_docstring():
    modes = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    assert kl_to_uniform(modes, 1000) == pytest.approx(999 / 52_000, rel=0.1)
