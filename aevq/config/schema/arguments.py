"""From a class to the schema of its yaml node: its constructor's arguments, with their annotations."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import typing_extensions

from aevq.config.schema.foreign import REFUSED, refined
from aevq.config.schema.values import check_value, plain_part
from aevq.errors import UserError, did_you_mean, shown

__all__ = ["Argument", "arguments_of", "check_node", "checked"]

Class = TypeVar("Class", bound=type)
Find = Callable[[str, str], Any]

OF_HYDRA = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}
UNKNOWN = inspect.Parameter.empty  # an annotation that is not there, or that cannot be found out
NAMES = vars(typing) | vars(collections.abc)  # for annotations whose names are imported for a type checker only


@dataclass(frozen=True)
class Argument:
    """One argument of a class.

    Attributes:
        annotation: Its type, or `UNKNOWN`.
        required: Whether it has no default.
    """

    annotation: Any
    required: bool


def arguments_of(target: Callable[..., Any]) -> tuple[dict[str, Argument], bool]:
    """The arguments that a class or function takes by name, and whether it takes any others too.

    Where a constructor passes `**parts` on, those of its base class are among them.
    """
    found: dict[str, Argument] = {}
    for function in _constructors(target):
        parameters = list(inspect.signature(function).parameters.values())
        if inspect.isclass(target):
            parameters = parameters[1:]
        for parameter in parameters:
            if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                required = parameter.default is parameter.empty
                found.setdefault(parameter.name, Argument(_annotation(parameter, function), required))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return _refine(target, found), False
    return _refine(target, found), True


def check_node(path: str, node: Mapping[str, Any], find: Find, given: Iterable[str] = ()) -> None:
    """Check a node that names a class, and the nodes within it, without building anything.

    Args:
        path: Its key, as the user writes it.
        node: `_target_` and arguments, plain values.
        find: Gives what a `_target_` names; called with it and its node's key.
        given: Arguments that come from elsewhere.

    Raises:
        UserError: If an argument is unknown, missing, or of a wrong type or range.
    """
    target = find(node["_target_"], path)
    try:
        arguments, open_ended = arguments_of(target)
    except (TypeError, ValueError):  # written in C
        return
    values = {name: value for name, value in node.items() if name not in OF_HYDRA}
    for name, value in values.items():
        if name not in arguments and not open_ended:
            what = getattr(target, "__name__", target)
            raise UserError(f"{path}.{shown(name)}: {what} has no such argument; {did_you_mean(name, arguments)}")
        if name in given:
            raise UserError(f"{path}.{name}: is not for a configuration to say, a run gives it")
        if name in arguments:
            _check_argument(f"{path}.{name}", value, arguments[name].annotation, find)
    if not node.get("_partial_") and not node.get("_args_"):
        for name, argument in arguments.items():
            if argument.required and name not in values and name not in given:
                raise UserError(f"{path}.{name}: missing, and it has no default")


def checked(place: str) -> Callable[[Class], Class]:
    """Check the arguments of a class in the same way when it is called from Python.

    Args:
        place: Where it stands in a configuration: the beginning of the names in errors.
    """

    def decorate(cls: Class) -> Class:
        construct: Any = cls.__init__  # type: ignore[misc]
        signature = inspect.signature(construct)

        @functools.wraps(construct)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            arguments = _own_arguments(cls, construct)
            for name, value in signature.bind(self, *args, **kwargs).arguments.items():
                if name in arguments and (kind := plain_part(arguments[name])) is not None and _is_plain(value):
                    check_value(f"{place}.{name}".lstrip("."), value, kind)
            construct(self, *args, **kwargs)

        cls.__init__ = __init__  # type: ignore[misc]
        return cls

    return decorate


@functools.cache
def _own_arguments(cls: type, construct: Any) -> dict[str, Any]:
    parameters = inspect.signature(construct).parameters.values()
    return {p.name: _annotation(p, construct) for p in parameters}


def _is_plain(value: Any) -> bool:
    """Whether a value is one that could stand in a yaml; an object in its place is not our business."""
    return value is None or isinstance(value, bool | int | float | str | list | tuple | dict)


def _check_argument(path: str, value: Any, annotation: Any, find: Find) -> None:
    if isinstance(value, Mapping) and "_target_" in value:
        if annotation is not UNKNOWN:
            _check_kind(path, find(value["_target_"], path), annotation)
        check_node(path, value, find)
        return
    if annotation in (UNKNOWN, Any) or (isinstance(value, Mapping) and _part_kinds(annotation)):
        return
    plain, kinds = plain_part(annotation), _part_kinds(annotation)
    if plain is None or (plain is type(None) and kinds and value is not None):
        null = "" if plain is None else "null, or "
        group = path.replace(".", "/")
        raise UserError(f"{path}: expected {null}a part with a _target_ (one of the group {group}), got {value!r}")
    check_value(path, value, plain)


def _check_kind(path: str, target: Any, annotation: Any) -> None:
    """Refuse a class that is none of those that an argument is annotated with."""
    kinds = _part_kinds(annotation)
    if not inspect.isclass(target) or not kinds or any(_is_of(target, kind) for kind in kinds):
        return
    wanted = " or ".join(kind.__name__ for kind in kinds)
    raise UserError(f"{path}._target_: expected a {wanted}, got {target.__module__}.{target.__qualname__}")


def _part_kinds(annotation: Any) -> list[type]:
    """The classes and protocols in an annotation."""
    if typing.get_origin(annotation) is not None:
        arguments = typing.get_args(annotation)
        if typing.get_origin(annotation) is collections.abc.Callable:
            return []
        return [kind for argument in arguments for kind in _part_kinds(argument)]
    return [annotation] if inspect.isclass(annotation) and plain_part(annotation) is None else []


def _is_of(target: type, kind: type) -> bool:
    if not typing_extensions.is_protocol(kind):
        return issubclass(target, kind)
    members = typing_extensions.get_protocol_members(kind)
    return all(hasattr(target, name) for name in members if callable(getattr(kind, name, None)))


def _constructors(target: Callable[..., Any]) -> list[Callable[..., Any]]:
    """What is called: the function itself, or the constructors of a class and of its bases."""
    if not inspect.isclass(target):
        return [target]
    return [vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls) and cls is not object]


def _annotation(parameter: inspect.Parameter, function: Any) -> Any:
    """The type that a parameter is annotated with, where it can be found out."""
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    function = inspect.unwrap(function)
    module = sys.modules.get(getattr(function, "__module__", ""))
    try:
        return eval(annotation, NAMES | vars(module) if module else NAMES)
    except Exception:  # a name that only a type checker imports
        return UNKNOWN


def _refine(target: Any, arguments: dict[str, Argument]) -> dict[str, Argument]:
    """With what we know of a foreign class beyond its own annotations."""
    name = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
    known = refined(name)
    return {
        key: Argument(known.get(key, argument.annotation), argument.required)
        for key, argument in arguments.items()
        if key not in REFUSED.get(name, ())
    }
