import pytest

from aevq.config.instantiate import build
from aevq.errors import UserError
from aevq.nn import MLP

MLP_CONFIG = {"_target_": "aevq.nn.MLP", "hidden": [4], "activation": "relu"}


def test_a_part_is_built_from_its_config():
    assert isinstance(build(MLP_CONFIG), MLP)


@pytest.mark.parametrize(
    "target", ["os.system", "torch.load", "builtins.open", "aevq.files.atomic_write", "aevq.nn.network.find_activation"]
)
def test_a_foreign_target_is_refused_however_deep(target):
    for config in (
        {"_target_": target},
        MLP_CONFIG | {"hidden": [{"_target_": target}]},
        MLP_CONFIG | {"activation": {"a": {"_target_": target}}},
    ):
        with pytest.raises(UserError, match="refused"):
            build(config)


def test_a_class_that_does_not_exist_is_named():
    with pytest.raises(UserError, match=r"there is no 'aevq\.nn\.MPL'"):
        build({"_target_": "aevq.nn.MPL"})


def test_a_wrong_argument_is_named():
    with pytest.raises(UserError, match="width"):
        build(MLP_CONFIG | {"width": 3})


def test_a_package_that_the_caller_trusts_is_built():
    config = {"_target_": "collections.Counter"}
    with pytest.raises(UserError, match="refused, unless you name its package in trust"):
        build(config)
    assert build(config, trust=["collections."], a=2) == {"a": 2}
