from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pytest
import torch

from aevq.config.schema import (
    Count,
    Fraction,
    Name,
    Odd,
    Positive,
    Probability,
    Says,
    Seed,
    Text,
    check_value,
    describe,
)
from aevq.config.schema.values import plain_part
from aevq.errors import UserError


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "an integer"),
        (Count, "an integer ≥ 1"),
        (Positive, "a number in (0, inf)"),
        (Probability, "a number in [0, 1)"),
        (Fraction, "a number in [0, 1]"),
        (Odd, "an odd integer ≥ 1"),
        (list[int], "a list of integers"),
        (Sequence[str], "a list of texts"),
        (Count | None, "null, or an integer ≥ 1"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[int, float], "a list of 2: an integer, a number"),
        (dict[str, Any], "a mapping"),
        (Annotated[int, Says("a digit")], "a digit"),
    ],
)
def test_an_annotation_in_words(annotation, words):
    assert describe(annotation) == words


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, -3], [True, 1.0, "1", None, [1]]),
        (float, [1, 1.5, -2], [True, "1", float("nan"), float("inf")]),
        (Count, [1, 10**6], [0, -1, 2**31]),
        (Odd, [1, 7], [2, 0, 1.0]),
        (Seed, [0, 2**32 - 1], [-1, 2**32]),
        (bool, [True], [1, "true", None]),
        (Text, ["a"], ["", 3, None]),
        (Name, ["a_b-c.gz", "0"], ["../a", "a/b", ".a", "", "a b", "a\n"]),
        (tuple[Count, Count], [[1, 2], (3, 4)], [[1], [1, 2, 3], "12", [0, 1]]),
        (Literal["a"] | int, ["a", 3], ["b", None, 1.5]),
        (list[str], [[], ["a"]], ["a", [1], {"a": 1}]),
    ],
)
def test_values_are_taken_strictly(annotation, good, bad):
    for value in good:
        check_value("key", value, annotation)
    for value in bad:
        with pytest.raises(UserError, match=r"^key: expected .*, got "):
            check_value("key", value, annotation)


def test_the_nearest_choice_is_offered():
    with pytest.raises(UserError, match="did you mean 'kmeans'"):
        check_value("init", "kmean", Literal["kmeans", "normal"])


def test_objects_are_left_out_of_what_a_yaml_can_say():
    assert plain_part(int | torch.Tensor) is int
    assert plain_part(torch.Tensor) is None
    assert plain_part(list[torch.Tensor]) is None
    assert plain_part(str | None) == str | None


def test_an_object_of_python_is_no_value():
    with pytest.raises(UserError, match=r"^x: expected an integer, got tensor"):
        check_value("x", torch.tensor(1), int)
