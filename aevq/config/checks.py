"""Types of arguments, and constructors that check and remember them.

A class that a yaml can build inherits from `Configurable`. Its constructor then checks its arguments by their
annotations (pydantic, strict: `"8"`, `8.0` and `true` are not integers), from a yaml and from Python alike, and
`to_config` returns the yaml node that builds the same object again.

    class Uniform(Configurable):
        def __init__(self, low: float = 0.0, high: PositiveFloat = 1.0) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    AfterValidator,
    ConfigDict,
    PositiveInt,
    Strict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    validate_call,
)
from pydantic import NonNegativeFloat as NonNegativeFloat  # for those who import all types from here
from pydantic import NonNegativeInt as NonNegativeInt
from pydantic import PositiveFloat as PositiveFloat
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import dataclass_transform

from aevq.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T")

STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("should be odd")
    return value


OddInt = Annotated[PositiveInt, AfterValidator(_odd)]
Seed = Annotated[int, Ge(0), Lt(2**32)]
Fraction = Annotated[float, Ge(0), Le(1)]
PositiveFraction = Annotated[float, Gt(0), Le(1)]
Probability = Annotated[float, Ge(0), Lt(1)]
Text = Annotated[str, MinLen(1)]
# Of a file or folder, and no path; file systems allow 255 bytes, with what aevq adds.
Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.+-]*$", max_length=200)]
# A yaml has lists and no tuples.
PositiveInts = Annotated[tuple[PositiveInt, ...], Strict(False), MinLen(1)]
ImageShape = Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], Strict(False)]


@dataclass_transform(frozen_default=True)
def settings(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass whose constructor checks its fields and raises `ArgumentError`."""
    made: Any = pydantic_dataclass(cls, frozen=True, config=STRICT)
    construct, known = made.__init__, [field.name for field in fields(made)]

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:  # pydantic ignores it, and so files of later versions can be read
            if name not in known:
                raise ArgumentError(name, f"no such argument; {did_you_mean(name, known)}", cls.__name__)
        try:
            construct(self, *args[len(known) :], **dict(zip(known, args, strict=False)), **kwargs)
        except ValidationError as error:
            raise argument_error(error, owner=cls.__name__) from error

    made.__init__ = __init__
    return made


class ArgumentError(UserError):
    """A constructor was called with a bad argument.

    Attributes:
        argument: Its name, and where it is nested the indices below it: `betas.0`.
        problem: The expected and the given value, in words.
        instead: The value that was given in place of an object.
    """

    def __init__(self, argument: str, problem: str, owner: str = "", instead: object = None) -> None:
        super().__init__(": ".join(filter(None, [f"{owner}.{argument}".strip("."), problem])))
        self.argument = argument
        self.problem = problem
        self.instead = instead


class Configurable:
    """Base of the classes that a yaml can build: their constructors check their arguments and remember them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]  # the point of this class


def to_config(part: Any) -> Any:
    """Return the plain values from which `instantiate` builds `part` again.

    Args:
        part: A `Configurable`, a dataclass, a class or function that is still to be called, a `functools.partial` of
            one, a container of these, or a plain value.

    Raises:
        TypeError: If an argument is none of these.

    >>> from aevq.latents import VectorSpec
    >>> to_config(VectorSpec(2))
    {'_target_': 'aevq.latents.VectorSpec', 'dim': 2}
    """
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if isinstance(part, Mapping):
        return {str(key): to_config(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [to_config(value) for value in part]
    if isinstance(part, type) or inspect.isfunction(part):
        part = functools.partial(part)
    if isinstance(part, functools.partial) and not part.args:
        if "<" in part.func.__qualname__:  # <lambda> or <locals>
            raise TypeError(f"should be defined in a module, so that a configuration can name it, got {part.func!r}")
        return {"_target_": _full_name(part.func), "_partial_": True, **to_config(part.keywords)}
    if isinstance(part, Configurable):
        arguments = vars(part).get("_arguments", {})
    elif is_dataclass(part):
        arguments = {field.name: getattr(part, field.name) for field in fields(part)}
    else:
        raise TypeError(f"should be an object that a configuration can describe, got {_shown(part)}")
    return {"_target_": _full_name(type(part)), **to_config(arguments)}


def validate(name: str, value: object, annotation: Any) -> Any:
    """Return `value`, checked against a type annotation such as `PositiveInt | None`.

    Raises:
        UserError: If it does not fit; the message begins with `name`.
    """
    try:
        return _adapter(annotation).validate_python(value)
    except ValidationError as error:
        raise argument_error(error, name=name) from error


def argument_error(
    error: ValidationError, known: Iterable[str] = (), owner: str = "", name: str | None = None
) -> ArgumentError:
    """Return the first problem that pydantic found.

    Args:
        error: Raised by pydantic.
        known: Names of the arguments that exist, to suggest one for a misspelt name.
        owner: Name of the class whose arguments were checked.
        name: Key of the value, if a single value was checked.
    """
    problems = error.errors(include_url=False)
    if name is not None:
        problems = [{**problem, "loc": (name, *problem["loc"])} for problem in problems]
    first, argument = problems[0], _place(problems[0])
    # Each branch of a union has a problem, and its name is in the location. Other problems of a list are not shown.
    related = [
        one
        for one in problems
        if one["loc"][:1] == first["loc"][:1]
        and (_place(one) == argument or any(isinstance(part, str) for part in one["loc"][1:]))
    ]
    problem = _problem(related, known)
    instead = first["input"] if first["type"] == "is_instance_of" else None
    return ArgumentError(argument, problem, owner, instead) if argument else ArgumentError(owner, problem)


def _place(problem: ErrorDetails) -> str:
    """Return the name of an argument and the indices below it, without the branches of unions."""
    return ".".join(str(part) for i, part in enumerate(problem["loc"]) if i == 0 or isinstance(part, int))


def _checked(construct: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(construct)

    @functools.cache
    def validated() -> Callable[..., None]:  # at the first call: until then not all annotations may exist
        return validate_call(config=STRICT)(construct)

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        by_name = signature.bind_partial(self, *args).arguments
        del by_name[next(iter(by_name))]  # self
        try:
            validated()(self, **by_name, **kwargs)
        except ValidationError as error:
            raise argument_error(error, _argument_names(type(self)), type(self).__name__) from error
        # The constructors of base classes have set theirs before; the outermost is the one that was called.
        vars(self)["_arguments"] = by_name | kwargs

    return __init__


def _argument_names(cls: type) -> list[str]:
    """Return the arguments that a class takes, with those it passes on to its bases."""
    names: list[str] = []
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
            names += [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return list(dict.fromkeys(names))


def _problem(problems: list[ErrorDetails], known: Iterable[str]) -> str:
    """Return what is wrong with one argument; of a union, what each branch expected."""
    first = problems[0]
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        what = "key" if first["type"] == "extra_forbidden" else "argument"
        return f"no such {what}; {did_you_mean(str(first['loc'][-1]), known)}"
    if first["type"].startswith("missing"):
        return "missing, and it has no default" if len(first["loc"]) == 1 else "missing: the list is too short"
    messages = dict.fromkeys(re.sub("^(Input|String|Tuple|List|Value error,) ", "", one["msg"]) for one in problems)
    expected = first.get("ctx", {}).get("expected", "") if first["type"] == "literal_error" else ""
    choices = re.findall("'([^']*)'", expected)
    hint = f"; {did_you_mean(first['input'], choices)}" if choices and isinstance(first["input"], str) else ""
    return f"{' or '.join(messages)}, got {_shown(first['input'])}{hint}"


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}…"


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=STRICT)


def _full_name(target: Any) -> str:
    return f"{target.__module__}.{target.__qualname__}"
