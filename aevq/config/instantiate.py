"""Objects from configuration, and which classes a configuration may name.

A config that comes with a run folder or a checkpoint was written by whoever wrote that, and Hydra's `instantiate`
calls whatever its `_target_` names. So such a config is built only if each `_target_` in it, however deep, is a class
that was written in one of this package's parts, an optimizer of torch, a harmless callback of Lightning, or in a
package that the caller says to trust. Where a class was written counts, not the name it is reached by: every module has
names of other modules' classes in it. The config of a new run is the user's own and trusts `EVERYTHING`.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from aevq.config.schema import check_node
from aevq.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["EVERYTHING", "build", "check", "full_message"]

EVERYTHING = ("",)

TRUSTED = (
    "aevq.training.callbacks.",
    "aevq.data.",
    "aevq.metrics.protocol.",
    "aevq.training.loggers.",
    "aevq.models.",
    "aevq.nn.",
    "aevq.report.plots.",
    "aevq.priors.",
    "pytorch_lightning.callbacks.early_stopping.",
    "pytorch_lightning.callbacks.gradient_accumulation_scheduler.",
    "pytorch_lightning.callbacks.lr_monitor.",
    "pytorch_lightning.callbacks.stochastic_weight_avg.",
    "pytorch_lightning.callbacks.timer.",
    "pytorch_lightning.callbacks.weight_averaging.",
    "torch.optim.",
)
# A class only makes an object; a function of a trusted module could do anything, so these are named one by one.
TRUSTED_FUNCTIONS = ("aevq.training.loggers.tensorboard", "aevq.training.loggers.weights_and_biases")
# Packages that the names of trusted classes begin with: nothing else is imported to see what it is.
TRUSTED_PACKAGES = ("aevq.", "pytorch_lightning.callbacks.", "torch.optim.")


def build(config: DictConfig | dict[str, Any], trust: Iterable[str] = (), path: str = "config", **kwargs: Any) -> Any:
    """Instantiate `config` after checking every `_target_` and every argument in it.

    Args:
        config: A node with a `_target_`.
        trust: Beginnings of further names that are trusted, say `mypackage.`.
        path: The node's key in the whole configuration, for errors.
        **kwargs: Further arguments of the class.

    Returns:
        The object.

    Raises:
        UserError: If a `_target_` is not trusted, does not exist, or refuses its arguments.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
    check(plain, trust, path, given=kwargs)
    try:
        make = instantiate(plain, _convert_="all", _partial_=True)
        return make(**kwargs)  # not through `instantiate`, which would turn a dataclass into a config
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise UserError(full_message(error)) from error
    except (TypeError, ValueError, RuntimeError, MemoryError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: {plain['_target_']} cannot be made ({' '.join(str(error).split())})") from error


def check(node: Any, trust: Iterable[str] = (), path: str = "config", given: Iterable[str] = ()) -> None:
    """Check a node without building it: trust first, which imports nothing foreign, then the arguments.

    Args:
        node: With a `_target_` and arguments, plain values.
        trust: As in `build`.
        path: As in `build`.
        given: Arguments of the class that do not come from the configuration.

    Raises:
        UserError: As in `build`.
    """
    if not (isinstance(node, dict) and "_target_" in node):
        raise UserError(f"{path}: expected a part with a _target_, got {node!r}")
    _check_targets(node, path, tuple(trust))
    check_node(path, node, _find, given)


def full_message(error: InstantiationException) -> str:
    """Hydra's message and its cause on one line."""
    return " ".join(str(error).split())


def _check_targets(node: Any, path: str, trust: tuple[str, ...]) -> None:
    """Refuse any `_target_` in `node` that is not trusted."""
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(node["_target_"], path, trust)
        for key, value in node.items():
            _check_targets(value, f"{path}.{key}", trust)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_targets(value, f"{path}[{index}]", trust)


def _check_target(target: Any, path: str, trust: tuple[str, ...]) -> None:
    if not (isinstance(target, str) and target.startswith((*TRUSTED_PACKAGES, *trust))):
        raise UserError(
            f"{path}._target_: {target!r} is no part of aevq; refused, unless you name its package in trust"
        )
    found = _find(target, path)
    if not _is_trusted(found, target, trust):
        raise UserError(f"{path}._target_: expected a class of aevq's parts, got {target!r}; refused")


def _is_trusted(found: Any, target: str, trust: tuple[str, ...]) -> bool:
    home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if trust and home.startswith(trust):
        return callable(found)
    return target in TRUSTED_FUNCTIONS or (inspect.isclass(found) and home.startswith(TRUSTED))


def _find(target: str, path: str) -> Any:
    try:
        return resolve_name(target)
    except Exception as error:
        raise UserError(f"{path}._target_: there is no {target!r}{_nearest(target)}") from error


def _nearest(target: str) -> str:
    """The nearest class of the module that was meant, if there is such a module."""
    module, _, name = target.rpartition(".")
    try:
        names: Mapping[str, Any] = vars(import_module(module))
    except Exception:
        return ""
    return f"; {did_you_mean(name, names.get('__all__') or [n for n, v in names.items() if inspect.isclass(v)])}"
