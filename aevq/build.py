"""Objects from configuration, and which classes a configuration may name.

A config that comes with a run folder or a checkpoint was written by whoever wrote that, and Hydra's `instantiate` calls
whatever its `_target_` names. So such a config is built only if each `_target_` in it, however deep, is a class of this
package's parts, an optimizer of torch, a callback of Lightning, or of a package that the caller says to trust. The
config of a new run is the user's own and trusts `EVERYTHING`.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from aevq.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EVERYTHING", "build", "full_message"]

EVERYTHING = ("",)

TRUSTED = (
    "aevq.callbacks.",
    "aevq.data.",
    "aevq.evaluation.",
    "aevq.loggers.",
    "aevq.models.",
    "aevq.nn.",
    "aevq.pictures.",
    "aevq.priors.",
    "pytorch_lightning.callbacks.",
    "torch.optim.",
)
# A class only makes an object; a function of a trusted module could do anything, so these are named one by one.
TRUSTED_FUNCTIONS = ("aevq.loggers.tensorboard", "aevq.loggers.weights_and_biases")


def build(config: DictConfig | dict[str, Any], trust: Iterable[str] = (), **kwargs: Any) -> Any:
    """Instantiate `config` after checking every `_target_` in it.

    Args:
        config: A node with a `_target_`.
        trust: Beginnings of further names that are trusted, say `mypackage.`.
        **kwargs: Further arguments of the class.

    Returns:
        The object.

    Raises:
        UserError: If a `_target_` is not trusted, does not exist, or refuses its arguments.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
    _check(plain, "config", tuple(trust))
    try:
        make = instantiate(plain, _partial_=True)
        return make(**kwargs)  # not through `instantiate`, which would turn a dataclass into a config
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise UserError(full_message(error)) from error
    except TypeError as error:
        raise UserError(f"{plain['_target_']}: {error}") from error


def full_message(error: InstantiationException) -> str:
    """Hydra's message and its cause on one line."""
    return " ".join(str(error).split())


def _check(node: Any, path: str, trust: tuple[str, ...]) -> None:
    """Refuse any `_target_` in `node` that is not trusted."""
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(node["_target_"], path, trust)
        for key, value in node.items():
            _check(value, f"{path}.{key}", trust)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check(value, f"{path}[{index}]", trust)


def _check_target(target: Any, path: str, trust: tuple[str, ...]) -> None:
    known = isinstance(target, str) and target.startswith((*TRUSTED, *trust))
    if not known:
        raise UserError(
            f"{path}._target_: {target!r} is no part of aevq; refused, unless you name its package in trust"
        )
    try:
        found = get_object(target)
    except Exception as error:
        raise UserError(f"{path}._target_: there is no {target!r}") from error
    if not (inspect.isclass(found) or target in TRUSTED_FUNCTIONS or (trust and target.startswith(trust))):
        raise UserError(f"{path}._target_: expected a class, got {target!r}; refused")
