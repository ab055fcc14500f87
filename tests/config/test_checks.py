"""Constructors that check their arguments and remember them."""

from functools import partial
from typing import Any, Literal

import pytest
import torch

from aevq.config import checks
from aevq.config.checks import ArgumentError, Configurable, PositiveInt, PositiveInts, settings, to_config, validate
from aevq.config.instantiate import EVERYTHING, instantiate
from aevq.errors import UserError
from aevq.nn import MLP, Gaussian, Likelihood


class Base(Configurable):
    def __init__(self, likelihood: Likelihood, rate: float = 1.0) -> None:
        self.likelihood, self.rate = likelihood, rate


class Part(Base):
    """As a newcomer writes it."""

    def __init__(self, width: PositiveInt, sizes: PositiveInts = (3, 4), anything=None, **parts: Any) -> None:
        super().__init__(**parts)
        self.width, self.sizes = width, sizes


@settings
class Options:
    every: PositiveInt = 5
    mode: Literal["min", "max"] = "min"


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, -3], [True, 1.0, "1", None, [1]]),
        (float, [1, 1.5, -2], [True, "1", NAN, INF]),
        (bool, [True], [1, "true", None]),
        (PositiveInt, [1, 10**6], [0, -1, 1.0]),
        (checks.NonNegativeInt, [0], [-1, "0"]),
        (checks.PositiveFloat, [1, 0.1], [0, 0.0, NAN, INF]),
        (checks.NonNegativeFloat, [0, 0.0], [-0.1, INF]),
        (checks.Fraction, [0, 0.5, 1], [1.1, -1]),
        (checks.Probability, [0, 0.5], [1, 1.0]),
        (checks.OddInt, [1, 7], [2, 0, 1.0]),
        (checks.Seed, [0, 2**32 - 1], [-1, 2**32]),
        (checks.Text, ["a"], ["", 3, None]),
        (checks.Name, ["a_b-c.gz", "0"], ["../a", "a/b", ".a", "", "a b", "a\n"]),
        (PositiveInts, [[1, 2], (3,)], [[], [0], 3, ["1"], None, "12"]),
        (checks.ImageShape, [[1, 28, 28], (3, 8, 9)], [[1], [1, 2, 3, 4], [1, 0, 3]]),
        (Literal["a"] | int, ["a", 3], ["b", None, 1.5]),
        (Likelihood | None, [None, Gaussian()], ["gaussian", torch.tensor(1)]),
    ],
)
def test_values_are_checked_strictly(annotation, good, bad):
    for value in good:
        validate("key", value, annotation)
    for value in bad:
        with pytest.raises(UserError, match=r"^key[.\d]*: (.*, got |missing)") as error:
            validate("key", value, annotation)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Part(0, likelihood=Gaussian()), "Part.width: should be greater than 0, got 0"),
        (lambda: Part(1.5, likelihood=Gaussian()), "Part.width: should be a valid integer, got 1.5"),
        (lambda: Part(1, [2, -3], likelihood=Gaussian()), "Part.sizes.1: should be greater than 0, got -3"),
        (lambda: Part(1, [0], likelihood=Gaussian()), "Part.sizes.0: should be greater than 0, got 0"),
        (lambda: Part(1, [2, 0, "a"], likelihood=Gaussian()), "Part.sizes.1: should be greater than 0, got 0"),
        (lambda: Part(likelihood=Gaussian()), "Part.width: missing, and it has no default"),
        (lambda: Part(1), "Part.likelihood: missing, and it has no default"),
        (lambda: Part(1, likelihood=Gaussian(), rate=None), "Part.rate: should be a valid number, got None"),
        (lambda: Part(1, likelihood=3), "Part.likelihood: should be an instance of Likelihood, got 3"),
        (
            lambda: Part(1, likelihood=Gaussian(), raet=2),
            "Part.raet: no such argument; did you mean 'rate'? (valid: anything, likelihood, rate, sizes, width)",
        ),
        (lambda: Options(0), "Options.every: should be greater than 0, got 0"),
        (lambda: Options(evry=1), "Options.evry: no such argument; did you mean 'every'? (valid: every, mode)"),
        (
            lambda: Options(mode="mni"),
            "Options.mode: should be 'min' or 'max', got 'mni'; did you mean 'min'? (valid: max, min)",
        ),
    ],
)
def test_a_bad_argument_is_one_line_that_names_it(call, message):
    with pytest.raises(ArgumentError) as error:
        call()
    assert str(error.value) == message


def test_a_long_value_is_cut():
    with pytest.raises(UserError) as error:
        validate("key", "a\n" * 500, int)
    assert len(str(error.value)) < 150


def test_a_yaml_list_becomes_a_tuple_and_defaults_stay():
    part = Part(2, [5], likelihood=Gaussian())
    assert (part.sizes, part.rate) == ((5,), 1.0)
    assert Options(mode="max") == Options(5, "max")


def test_too_many_arguments_are_not_ignored():
    for call in (lambda: Options(1, "min", 3), lambda: MLP([4], "relu", 3)):
        with pytest.raises((TypeError, ArgumentError)):
            call()


@pytest.mark.parametrize(
    "part",
    [
        Part(2, likelihood=Gaussian(0.5)),
        Part(2, [5], {"a": [1, None]}, likelihood=Gaussian(sigma=0.5, learned=True), rate=3),
        Part(2, anything=[partial(torch.optim.SGD, lr=0.1), torch.optim.SGD, Options(7)], likelihood=Gaussian()),
        Options(7),
    ],
)
def test_a_configuration_builds_the_same_object_again(part):
    node = to_config(part)
    again = instantiate(node, "part", trust=EVERYTHING)
    assert type(again) is type(part)
    assert to_config(again) == node


def test_arguments_that_are_passed_on_are_remembered_by_name():
    node = to_config(Part(2, likelihood=Gaussian(), rate=3))
    assert node.pop("_target_").endswith("test_checks.Part")
    assert node == {"width": 2, "likelihood": {"_target_": "aevq.nn.likelihood.Gaussian"}, "rate": 3}


@pytest.mark.parametrize("part", [lambda x: x, partial(lambda x: x), torch.ones(1), {"a": object()}, partial(MLP, [4])])
def test_what_a_configuration_cannot_describe_is_refused(part):
    with pytest.raises(TypeError, match="configuration can"):
        to_config(part)
