import math

import pytest
import torch

from aevq.ops.units import nats_to_bits, nats_to_bits_per_dim


def test_a_fair_coin_is_a_bit():
    assert nats_to_bits(math.log(2)) == pytest.approx(1)


def test_bits_per_dim_of_uniform_grey_levels_are_eight():
    assert nats_to_bits_per_dim(784 * math.log(256), 784) == pytest.approx(8)
    assert nats_to_bits_per_dim(torch.tensor([784 * math.log(256)]), 784).item() == pytest.approx(8)
