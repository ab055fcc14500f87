"""One integer from several: seeds for generators that must not resemble each other.

`seed + epoch` makes epoch 1 of seed 0 equal epoch 0 of seed 1. A mixing function (splitmix64: Steele, Lea and
Flood 2014, doi:10.1145/2660193.2660195) makes neighbouring inputs unrelated.
"""

from __future__ import annotations

__all__ = ["mix"]

_MASK = (1 << 64) - 1


def _splitmix64(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def mix(*values: int) -> int:
    """A seed in `[0, 2^63)` from integers, in which order and number count.

    All its bits are well mixed, which matters: torch's CPU generator uses only the lower 32 of a seed.
    """
    state = 0
    for value in values:
        state = _splitmix64(state ^ _splitmix64(value & _MASK))
    return state >> 1
