from typing import Any

import pytest
from omegaconf import OmegaConf

from aevq.config.checks import Configurable, to_config
from aevq.config.instantiate import EVERYTHING, instantiate
from aevq.errors import UserError
from aevq.latents import VectorSpec
from aevq.models import VAE
from aevq.nn import MLP, Likelihood
from aevq.priors import Mixture, Prior

NODE = {"_target_": "aevq.nn.MLP", "hidden": [4], "activation": "relu"}


@pytest.mark.parametrize("node", [NODE, OmegaConf.create(NODE)], ids=["plain", "omegaconf"])
def test_a_node_becomes_an_object(node):
    built = instantiate(node, "model.network", MLP)
    assert isinstance(built, MLP)
    assert built.hidden == (4,)


def test_parts_are_built_first_and_arguments_of_aevq_are_added():
    node = {"_target_": "aevq.models.VAE", "latent_dim": 2, "network": NODE}
    assert instantiate(node, "model", VAE).latent_dim == 2
    prior = instantiate({"_target_": "aevq.priors.Mixture", "num_components": 3}, "prior", Prior, spec=VectorSpec(2))
    assert isinstance(prior, Mixture)
    assert prior.spec == VectorSpec(2)


class Open(Configurable):
    """Takes any part."""

    def __init__(self, part: Any = None, parts: Any = ()) -> None:
        self.part, self.parts = part, parts


def test_an_argument_that_may_be_anything_takes_parts_that_a_checkpoint_can_describe():
    node = {"_target_": f"{__name__}.Open", "part": NODE, "parts": [NODE]}
    built = instantiate(node, "model", Open, trust=EVERYTHING)
    assert isinstance(built.part, MLP)
    assert isinstance(built.parts[0], MLP)
    again = instantiate(to_config(built), "model", Open, trust=EVERYTHING)
    assert again.part.hidden == (4,)
    with pytest.raises(UserError, match=r"^model: should be an object that a configuration can describe, got ReLU\(\)"):
        instantiate(node | {"part": {"_target_": "torch.nn.ReLU"}}, "model", trust=EVERYTHING)


FUNCTIONS_OF_AEVQ = ["aevq.files.atomic_write", "aevq.nn.feature_net.load_feature_net"]


@pytest.mark.parametrize("target", ["os.system", "torch.load", "builtins.open", *FUNCTIONS_OF_AEVQ, 3, None])
def test_a_class_that_is_not_trusted_is_refused_however_deep(target):
    for node in (
        {"_target_": target},
        NODE | {"hidden": [{"_target_": target}]},
        NODE | {"activation": {"a": {"_target_": target}}},
    ):
        with pytest.raises(UserError, match="refused"):
            instantiate(node, "model")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (NODE | {"_target_": "aevq.nn.MPL"}, r"model\._target_: 'aevq\.nn\.MPL' does not exist; did you mean 'MLP'\?"),
        (NODE | {"_target_": "aevq.nn.Gaussian"}, r"model\.hidden: no such argument; \(valid: learned, sigma\)"),
        (NODE | {"width": 3}, r"model\.width: no such argument; .*valid: activation, hidden"),
        (NODE | {"hidden": [4, 0]}, r"model\.hidden\.1: should be greater than 0, got 0"),
        (NODE | {"activation": "rleu"}, r"model\.activation: should be .*, got 'rleu'; did you mean 'relu'"),
        ({"_target_": "aevq.models.AE", "network": NODE | {"hidden": 3}}, r"model\.network\.hidden: .*tuple, got 3"),
        ({"_target_": "aevq.models.AE", "likelihood": NODE}, r"model\.likelihood: should be an instance of Likelihood"),
        (
            {"_target_": "aevq.models.AE", "likelihood": "laplace"},
            r"model\.likelihood: .*got 'laplace'; to choose from a group write model/likelihood=laplace",
        ),
        ({"_target_": "aevq.models.AE", "optimizer": None}, r"model\.optimizer: should be callable, got None"),
        ("vae", r"model: expected a mapping with a _target_, got 'vae'; to choose from a group write model=vae"),
    ],
)
def test_an_error_is_one_line_that_begins_with_the_key(node, message):
    with pytest.raises(UserError, match=f"^{message}") as error:
        instantiate(node, "model")
    assert "\n" not in str(error.value)


def test_an_object_of_another_kind_is_refused():
    with pytest.raises(UserError, match=r"^model\.likelihood\._target_: expected a Likelihood, got aevq\.nn\.MLP"):
        instantiate(NODE, "model.likelihood", Likelihood)


def test_an_argument_of_aevq_cannot_be_configured():
    with pytest.raises(UserError, match=r"^prior\.spec: is set by aevq; remove it from the configuration"):
        instantiate({"_target_": "aevq.priors.Mixture", "spec": 3}, "prior", spec=VectorSpec(2))


def test_a_package_that_the_caller_trusts_may_be_named():
    node = {"_target_": "collections.Counter"}
    with pytest.raises(UserError, match="refused, unless trust names its package"):
        instantiate(node, "a")
    assert instantiate(node, "a", trust=["collections."], b=2) == {"b": 2}
