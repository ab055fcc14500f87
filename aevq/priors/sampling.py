"""Options of sampling: which class, and how far the samples may be from typical ones.

Nothing has to be declared: a prior offers `temperature`, `top_p` or `guidance` if its `sample` has a parameter of that
name, and a label if it is conditional.
"""

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from aevq.config.checks import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveFraction, settings
from aevq.errors import UserError, expect
from aevq.priors.base import Prior

VARIANT = "@"  # between the name of a prior and the options of its samples


@settings
class SampleOptions:
    """Options of sampling; None leaves one out, and the samples are from p(z).

    Attributes:
        label: Class of the images, for a conditional prior; by default each image is of a class that is drawn.
        temperature: Below 1 samples are more typical and less diverse, above 1 the contrary.
        top_p: Each value is drawn from the most probable ones, whose probabilities add up to this.
        guidance: Strength of classifier-free guidance, for a conditional prior; 0 is none.
    """

    label: NonNegativeInt | None = None
    temperature: PositiveFloat | None = None
    top_p: PositiveFraction | None = None
    guidance: NonNegativeFloat | None = None

    @property
    def given(self) -> dict[str, int | float]:
        """The options that are not left out, by name."""
        names = SampleOptions.__annotations__
        return {name: value for name, value in asdict(self).items() if name in names and value is not None}

    def arguments(self, prior: Prior, name: str, n: int) -> dict[str, Any]:
        """Return the arguments of `prior.sample` for `n` latents; `name` is what errors call the prior.

        Raises:
            UserError: If the prior lacks an option, or has no such class.
        """
        arguments: dict[str, Any] = dict(self.given)
        offered = offered_options(prior)
        for option in arguments:
            if option not in offered:
                raise UserError(f"{option}: the prior {name} has no {option}; {_alternative(option, offered)}")
        if "label" in arguments:
            label, classes = arguments.pop("label"), prior.num_classes or 0
            expect(label < classes, "label", f"a class below {classes}", label)
            arguments["labels"] = torch.full((n,), label)
        return arguments


def offered_options(prior: Prior) -> list[str]:
    """Return the names of the options that a prior offers."""
    parameters, conditional = inspect.signature(prior.sample).parameters, prior.num_classes is not None
    options = [name for name in ("temperature", "top_p", "guidance") if name in parameters]
    if not conditional:
        return [name for name in options if name != "guidance"]
    return [*(["label"] if "labels" in parameters else []), *options]


def variant_name(prior: str, options: Mapping[str, float]) -> str:
    """Return what the samples of a prior with some options are called in the names of metrics.

    >>> variant_name("transformer", {"temperature": 0.9})
    'transformer@temperature=0.9'
    """
    given = ",".join(f"{option}={value:g}" for option, value in options.items())
    return f"{prior}{VARIANT}{given}" if given else prior


def _alternative(option: str, offered: list[str]) -> str:
    hint = f"its options: {', '.join(offered)}" if offered else "it has no options"
    return f"{hint} ({option} is for a conditional prior)" if option in ("label", "guidance") else hint
