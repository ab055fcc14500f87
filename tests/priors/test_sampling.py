import pytest
import torch

from aevq.errors import UserError
from aevq.latents import CodeSpec, VectorSpec
from aevq.priors import FittedNormal, PixelCNN, SampleOptions, StandardNormal, offered_options

CODES, VECTORS = CodeSpec(3, 2, 2), VectorSpec(2)


class Mine(StandardNormal):
    """A prior from outside the package that has a temperature."""

    def sample(self, n, generator=None, temperature=1.0):
        return temperature * super().sample(n, generator)


class Guided(StandardNormal):
    num_classes = 4

    def sample(self, n, generator=None, labels=None, temperature=1.0, top_p=1.0, guidance=0.0):
        return super().sample(n, generator)


class Unguided(Guided):
    num_classes = None


@pytest.mark.parametrize(
    ("prior", "offered"),
    [
        (FittedNormal(VECTORS), []),
        (Mine(VECTORS), ["temperature"]),
        (Guided(VECTORS), ["label", "temperature", "top_p", "guidance"]),
        (Unguided(VECTORS), ["temperature", "top_p"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_prior_offers_what_its_sample_has_parameters_for(prior, offered):
    assert offered_options(prior) == offered


def test_only_given_options_are_passed_on():
    assert SampleOptions().arguments(FittedNormal(VECTORS), "fitted_normal", 3) == {}
    assert SampleOptions(temperature=0.9).arguments(Mine(VECTORS), "mine", 3) == {"temperature": 0.9}
    arguments = SampleOptions(label=2, guidance=0.0).arguments(Guided(VECTORS), "guided", 3)
    assert arguments["labels"].equal(torch.full((3,), 2))
    assert arguments["guidance"] == 0.0
    assert set(arguments) == {"labels", "guidance"}


@pytest.mark.parametrize(
    ("prior", "options", "message"),
    [
        (FittedNormal, {"temperature": 0.9}, "temperature: the prior x has no temperature; it has no options"),
        (Mine, {"top_p": 0.9}, "top_p: the prior x has no top_p; its options: temperature"),
        (Unguided, {"label": 3}, "label: the prior x has no label; .* is for a conditional prior"),
        (Unguided, {"guidance": 3.0}, "guidance: the prior x has no guidance; .* is for a conditional prior"),
        (Guided, {"label": 4}, "label: expected a class below 4, got 4"),
    ],
)
def test_an_option_that_the_prior_lacks_is_one_line(prior, options, message):
    with pytest.raises(UserError, match=f"^{message}"):
        SampleOptions(**options).arguments(prior(VECTORS), "x", 3)


@pytest.mark.parametrize(
    "bad", [{"label": -1}, {"temperature": 0.0}, {"top_p": 1.5}, {"top_p": 0.0}, {"guidance": -1.0}]
)
def test_values_out_of_range_are_named(bad):
    with pytest.raises(UserError, match=rf"^SampleOptions\.{next(iter(bad))}: should be"):
        SampleOptions(**bad)


def test_the_pixelcnn_has_a_temperature_and_if_it_is_conditional_a_label():
    assert "temperature" in offered_options(PixelCNN(CODES, 4, 1))
    assert "label" in offered_options(PixelCNN(CODES, 4, 1, conditional=True))
    assert "label" not in offered_options(PixelCNN(CODES, 4, 1))
