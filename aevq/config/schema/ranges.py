"""Ranges of arguments, as annotations: types that a type checker reads as `int`, `float` or `str`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, MinLen, Predicate

__all__ = [
    "Count",
    "Counts",
    "Depth",
    "Fraction",
    "ImageShape",
    "Layers",
    "Name",
    "NonNegative",
    "Odd",
    "Positive",
    "Probability",
    "Says",
    "Seed",
    "Text",
    "Whole",
]


@dataclass(frozen=True)
class Says:
    """The range in words, where its bounds do not say it well."""

    words: str


def odd(value: int) -> bool:
    """Whether a number is odd."""
    return value % 2 == 1


def is_name(value: str) -> bool:
    """Whether a text can be the name of a file or folder, and no path."""
    return re.fullmatch(r"\w[\w.+-]*", value) is not None


MOST = 2**31 - 1  # of anything counted: more would not fit into an index
DEEPEST = 1000  # layers: each is an object of Python

Count = Annotated[int, Ge(1), Le(MOST), Says("an integer ≥ 1")]
Whole = Annotated[int, Ge(0), Le(MOST), Says("an integer ≥ 0")]
Counts = Annotated[Sequence[Count], MinLen(1), Says("a list of integers ≥ 1")]
ImageShape = Annotated[tuple[Count, Count, Count], Says("[channels, height, width], integers ≥ 1")]
Layers = Annotated[int, Ge(1), Le(DEEPEST), Says(f"an integer ≥ 1 and ≤ {DEEPEST}")]
Depth = Annotated[int, Ge(0), Le(DEEPEST), Says(f"an integer ≥ 0 and ≤ {DEEPEST}")]
Odd = Annotated[int, Ge(1), Le(MOST), Predicate(odd), Says("an odd integer ≥ 1")]
Seed = Annotated[int, Ge(0), Le(2**32 - 1), Says("an integer ≥ 0 and < 2^32")]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
Probability = Annotated[float, Ge(0), Lt(1)]
Text = Annotated[str, MinLen(1), Says("a text that is not empty")]
Name = Annotated[str, Predicate(is_name), Says("a name of letters, digits and _ . + -")]
