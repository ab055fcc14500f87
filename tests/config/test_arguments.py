"""The schema of a class is its constructor: nothing is registered, and a foreign class is checked as far as it says."""

from pkgutil import resolve_name
from typing import Any

import pytest
import torch
from torch import nn

from aevq.config.schema import Count, check_node, checked
from aevq.config.schema.arguments import arguments_of
from aevq.errors import UserError
from aevq.models import AE, VQVAE
from aevq.nn import MLP, Gaussian


class Base:
    def __init__(self, likelihood: Gaussian, rate: float = 1.0) -> None:
        self.likelihood = likelihood


@checked("part")
class Part(Base):
    """As a newcomer writes it."""

    def __init__(self, width: Count, size: int = 3, anything=None, **parts: Any) -> None:
        super().__init__(**parts)
        self.width = width


def find(target: str, path: str) -> Any:
    return {"Part": Part, "Gaussian": Gaussian, "MLP": MLP}.get(target) or resolve_name(target)


GOOD = {"_target_": "Part", "width": 2, "likelihood": {"_target_": "Gaussian", "sigma": 0.1}}


def test_the_arguments_of_the_bases_are_among_them_where_they_are_passed_on():
    arguments, open_ended = arguments_of(Part)
    assert set(arguments) == {"width", "size", "anything", "likelihood", "rate"}
    assert not open_ended
    assert {name for name, argument in arguments.items() if argument.required} == {"width", "likelihood"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, r"^a\.width: expected an integer ≥ 1, got 0"),
        ({"size": "big"}, r"^a\.size: expected an integer, got 'big'"),
        ({"rate": None}, r"^a\.rate: expected a number, got None"),
        ({"widht": 3}, r"^a\.widht: Part has no such argument; did you mean 'width'"),
        ({"likelihood": None}, r"^a\.likelihood: expected a part with a _target_"),
        ({"likelihood": {"_target_": "MLP"}}, r"^a\.likelihood\._target_: expected a Gaussian, got .*MLP"),
        (
            {"likelihood": {"_target_": "Gaussian", "sigma": 0}},
            r"^a\.likelihood\.sigma: expected a number in \(0, inf\)",
        ),
        ({"likelihood": {"_target_": "Gaussian"}}, r"^a\.likelihood\.sigma: missing"),
    ],
)
def test_a_node_is_checked_without_being_built(changes, message):
    check_node("a", GOOD, find)
    with pytest.raises(UserError, match=message):
        check_node("a", GOOD | changes, find)


def test_what_is_missing_is_named():
    with pytest.raises(UserError, match=r"^a\.width: missing"):
        check_node("a", {"_target_": "Part", "likelihood": GOOD["likelihood"]}, find)
    check_node("a", {"_target_": "Part", "_partial_": True}, find)


def test_a_class_of_another_library_is_checked_as_far_as_it_says():
    node = {"_target_": "torch.optim.AdamW", "_partial_": True}
    check_node("o", node | {"lr": 0.1, "betas": [0.9, 0.99]}, find)
    for bad, message in (({"lr": -1}, r"o\.lr: expected a number in \(0, inf\)"), ({"fused": 3}, r"o\.fused")):
        with pytest.raises(UserError, match=message):
            check_node("o", node | bad, find)


def test_a_call_from_python_is_checked_in_the_same_way():
    assert Part(2, likelihood=Gaussian(0.1)).width == 2
    with pytest.raises(UserError, match=r"^part\.width: expected an integer ≥ 1, got 0"):
        Part(0, likelihood=Gaussian(0.1))
    with pytest.raises(UserError, match=r"^model\.latent_dim: expected an integer ≥ 1, got 1\.5"):
        AE((1, 28, 28), 1.5, MLP([4], "relu"), likelihood=Gaussian(0.1), optimizer=torch.optim.SGD)


def test_a_checked_class_keeps_its_name_and_documentation():
    assert VQVAE.__name__ == "VQVAE"
    assert VQVAE.__doc__.startswith("A VQ-VAE")
    assert issubclass(VQVAE, nn.Module)
