"""Conversion of nats to bits; nothing else converts them."""

import math
from typing import TypeVar

from torch import Tensor

Number = TypeVar("Number", float, Tensor)


def nats_to_bits(nats: Number) -> Number:
    """Return nats / ln 2."""
    return nats / math.log(2)


def nats_to_bits_per_dim(nats: Number, num_dims: int) -> Number:
    """Return nats / (n·ln 2), where n is the number of pixels times channels of an image (784 for MNIST)."""
    return nats_to_bits(nats) / num_dims
