import pytest
import torch
from torch.nn import functional as F

from aevq.ops.image import gradient_energy, is_binary


def test_a_flat_image_has_none_and_one_edge_has_its_length():
    x = torch.zeros(2, 1, 6, 6)
    x[1, :, :, 3:] = 0.5
    assert gradient_energy(x).tolist() == pytest.approx([0, 6 * 0.25])


def test_it_is_that_of_a_loop(digits):
    x = digits[0, 0]
    expected = sum(
        (x[i, j] - x[i + 1, j]) ** 2 * (i < 27) if axis == 0 else (x[i, j] - x[i, j + 1]) ** 2
        for axis in (0, 1)
        for i in range(27 if axis == 0 else 28)
        for j in range(28 if axis == 0 else 27)
    )
    assert gradient_energy(digits[:1]).item() == pytest.approx(expected.item(), rel=1e-5)


def test_blur_lowers_it(digits):
    blurred = [F.avg_pool2d(digits, k, stride=1, padding=k // 2) for k in (1, 3, 5)]
    energies = [gradient_energy(x).mean() for x in blurred]
    assert energies[0] > energies[1] > energies[2]


def test_only_zeros_and_ones_are_binary(digits):
    assert is_binary(digits.round())
    assert not is_binary(digits)
