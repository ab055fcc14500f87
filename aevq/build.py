"""Objects from configuration, and which classes a configuration may name.

A config that comes with a checkpoint was written by whoever wrote the checkpoint, and Hydra's `instantiate` calls
whatever its `_target_` names. So a config is built only if each `_target_` in it, however deep, is a class of this
package's parts or a torch optimizer.
"""

from __future__ import annotations

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from aevq.errors import UserError

__all__ = ["build", "full_message"]

TRUSTED = ("aevq.data.", "aevq.models.", "aevq.nn.", "aevq.priors.", "torch.optim.")


def build(config: DictConfig | dict[str, Any], **kwargs: Any) -> Any:
    """Instantiate `config` after checking every `_target_` in it.

    Args:
        config: A node with a `_target_`.
        **kwargs: Further arguments of the class.

    Returns:
        The object.

    Raises:
        UserError: If a `_target_` is not trusted, does not exist, or refuses its arguments.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
    _check(plain, "config")
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


def _check(node: Any, path: str) -> None:
    """Refuse any `_target_` in `node` that is not trusted."""
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(node["_target_"], path)
        for key, value in node.items():
            _check(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check(value, f"{path}[{index}]")


def _check_target(target: Any, path: str) -> None:
    if not isinstance(target, str) or not target.startswith(TRUSTED):
        raise UserError(f"{path}._target_: {target!r} is not a part of aevq or an optimizer of torch; refused")
    try:
        get_class(target)  # a class, so that no function of a trusted module can be called
    except Exception as error:
        raise UserError(f"{path}._target_: there is no class {target!r}") from error
