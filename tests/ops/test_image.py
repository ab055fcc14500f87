import pytest
import torch
from torch.nn import functional as F

from aevq.ops.image import gradient_energy, is_binary


def test_an_edge_counts_by_its_length_in_both_directions():
    x = torch.zeros(3, 1, 6, 8)
    x[1, :, :, 3:] = 0.5
    x[2, :, 3:, :] = 0.5
    assert gradient_energy(x).tolist() == pytest.approx([0, 6 * 0.25, 8 * 0.25])


def test_blur_lowers_it(digits):
    blurred = [F.avg_pool2d(digits, k, stride=1, padding=k // 2) for k in (1, 3, 5)]
    energies = [gradient_energy(x).mean() for x in blurred]
    assert energies[0] > energies[1] > energies[2]


def test_only_zeros_and_ones_are_binary(digits):
    assert is_binary(digits.round())
    assert not is_binary(digits)
