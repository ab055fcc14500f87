"""Objects from configuration, and which classes a configuration may name.

Hydra's `instantiate` calls whatever a `_target_` names, and the configuration of a run folder or a checkpoint was
written by whoever wrote that. So every `_target_` in a node, however deep, is checked before anything is built: it has
to be a class defined in one of the modules below, an optimizer of torch, a harmless callback of Lightning, or in a
package that the caller trusts. The module that defines a class counts, not the name it is reached by. The configuration
of a new run is the user's own and trusts `EVERYTHING`.
"""

import inspect
from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import resolve_name
from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from aevq.config.checks import ArgumentError, Configurable, argument_error, to_config
from aevq.errors import UserError, did_you_mean

T = TypeVar("T")

EVERYTHING = ("",)

# Modules whose classes a configuration may name, by the beginning of their names.
TRUSTED = (
    "aevq.data.",
    "aevq.latents.",
    "aevq.metrics.protocol.",
    "aevq.models.",
    "aevq.nn.",
    "aevq.priors.",
    "aevq.report.plots.",
    "aevq.training.callbacks.",
    "aevq.training.loggers.",
    "aevq.training.wandb.",
    "pytorch_lightning.callbacks.early_stopping.",
    "pytorch_lightning.callbacks.gradient_accumulation_scheduler.",
    "pytorch_lightning.callbacks.lr_monitor.",
    "pytorch_lightning.callbacks.stochastic_weight_avg.",
    "pytorch_lightning.callbacks.timer.",
    "pytorch_lightning.callbacks.weight_averaging.",
    "torch.optim.",
)
# To look at a class, its module is imported; nothing outside these packages is imported for that.
TRUSTED_PACKAGES = ("aevq.", "pytorch_lightning.callbacks.", "torch.optim.")


def instantiate(
    node: Mapping[str, Any] | DictConfig,
    path: str,
    kind: type[T] = object,  # type: ignore[assignment]  # a default for a type variable, which Python 3.11 lacks
    *,
    trust: Iterable[str] = (),
    **arguments: Any,
) -> T:
    """Build the object that a configuration node describes.

    Args:
        node: `_target_` and arguments, resolved.
        path: The node's key in the whole configuration, for errors.
        kind: The class that the object has to be an instance of.
        trust: Packages whose classes the node may name besides those of aevq, for example `("mypackage.",)`.
        **arguments: Arguments that aevq sets itself.

    Raises:
        UserError: If a `_target_` is not trusted or does not exist, or if a class refuses its arguments.
    """
    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    if not (isinstance(plain, dict) and "_target_" in plain):
        raise UserError(f"{path}: expected a mapping with a _target_, got {plain!r}{_group_hint(path, plain)}")
    _check_targets(plain, path, tuple(trust))
    for name in arguments:
        if name in plain:
            raise UserError(f"{path}.{name}: is set by aevq; remove it from the configuration")
    config = OmegaConf.create()
    OmegaConf.update(config, path, plain)  # at its place, so that Hydra's errors name the whole key
    try:
        # Children first, then the call: Hydra would turn a dataclass among `arguments` into a configuration.
        make = hydra_instantiate(OmegaConf.select(config, path), _convert_="all", _partial_=True)
        made = make(**arguments)
        if isinstance(made, Configurable):
            to_config(made)  # a part that no checkpoint could describe is reported now
    except InstantiationException as error:
        key = str(error).rpartition("full_key: ")[2].strip() or path
        raise _as_user_error(error.__cause__ or error, key) from error
    except (ArgumentError, ValidationError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise _as_user_error(error, path) from error
    if not isinstance(made, kind):
        raise UserError(f"{path}._target_: expected a {kind.__name__}, got {plain['_target_']}")
    return made


def _check_targets(node: Any, path: str, trust: tuple[str, ...]) -> None:
    """Raise a UserError if any `_target_` in `node`, however deep, is not trusted or does not exist."""
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(node["_target_"], path, trust)
        for key, value in node.items():
            _check_targets(value, f"{path}.{key}", trust)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_targets(value, f"{path}.{index}", trust)


def _check_target(target: Any, path: str, trust: tuple[str, ...]) -> None:
    if not (isinstance(target, str) and target.startswith((*TRUSTED_PACKAGES, *trust))):
        raise UserError(f"{path}._target_: {target!r} is not a class of aevq; refused, unless trust names its package")
    try:
        found = resolve_name(target)
    except Exception as error:
        raise UserError(f"{path}._target_: {target!r} does not exist{_nearest(target)}") from error
    home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    trusted_by_caller = bool(trust) and home.startswith(trust) and callable(found)
    if not (trusted_by_caller or (inspect.isclass(found) and home.startswith(TRUSTED))):
        raise UserError(f"{path}._target_: expected a class that a configuration may name, got {target!r}; refused")


def _as_user_error(error: BaseException, path: str) -> UserError:
    """Return the error as one line that begins with the key in the configuration."""
    if isinstance(error, ValidationError):
        error = argument_error(error)
    if isinstance(error, ArgumentError):
        key = f"{path}.{error.argument}".rstrip(".")
        return UserError(f"{key}: {error.problem}{_group_hint(key, error.instead)}")
    if isinstance(error, UserError):
        return error
    return UserError(f"{path}: {' '.join(str(error).split())}")


def _group_hint(key: str, value: Any) -> str:
    """Return a hint for `model.likelihood=laplace`, which puts a name where an object belongs."""
    return f"; to choose from a group write {key.replace('.', '/')}={value}" if isinstance(value, str) else ""


def _nearest(target: str) -> str:
    """Return the nearest class of the module that was meant, if there is such a module."""
    module, _, name = target.rpartition(".")
    try:
        names: Mapping[str, Any] = vars(import_module(module))
    except Exception:
        return ""
    return f"; {did_you_mean(name, names.get('__all__') or [n for n, v in names.items() if inspect.isclass(v)])}"
