"""One value against one annotation, and an annotation in words.

pydantic compares, strictly: `"8"`, `8.0` and `true` are no integers. A list of a yaml is as good as a tuple.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen

from aevq.config.schema.ranges import Says
from aevq.errors import UserError, did_you_mean

__all__ = ["check_value", "describe", "plain_part"]

SCALARS = {int: "an integer", float: "a number", bool: "true or false", str: "a text", type(None): "null"}
SEQUENCES = (list, tuple, Sequence, Iterable)
MAPPINGS = (dict, Mapping)


def check_value(name: str, value: object, annotation: Any) -> None:
    """Check one value.

    Args:
        name: Its key, as the user writes it.
        value: Plain: numbers, texts, lists, mappings.
        annotation: A type that `plain_part` has left something of.

    Raises:
        UserError: If it does not fit; the line names the key, what was expected, and the nearest choice.
    """
    if _fits(value, annotation):
        return
    choices = [choice for choice in _choices(annotation) if isinstance(choice, str)]
    hint = f"; {did_you_mean(value, choices)}" if choices and isinstance(value, str) else ""
    raise UserError(f"{name}: expected {describe(annotation)}, got {_shown(value)}{hint}")


def plain_part(annotation: Any) -> Any:
    """What of an annotation plain values can be: objects are left out of a union; None where nothing is left."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in SCALARS or origin is Literal:
        return annotation
    if annotation is None:
        return type(None)
    if origin is Annotated:
        return annotation if plain_part(arguments[0]) is not None else None
    if origin in (Union, types.UnionType):
        kept = [part for part in map(plain_part, arguments) if part is not None]
        return Union[tuple(kept)] if kept else None  # noqa: UP007 (made at run time)
    if origin in (*SEQUENCES, *MAPPINGS):
        inner = [argument for argument in arguments if argument is not ...]
        return annotation if all(plain_part(argument) is not None or argument is Any for argument in inner) else None
    return None


def describe(annotation: Any) -> str:
    """An annotation in words.

    >>> describe(list[int] | None)
    'null, or a list of integers'
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in SCALARS:
        return SCALARS[annotation]
    if origin is Literal:
        return f"one of {', '.join(map(_shown_plainly, arguments))}"
    if origin is Annotated:
        return _ranged(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        parts = sorted(map(describe, arguments), key=lambda words: words != "null")
        return " or ".join(parts) if len(parts) == 2 and parts[0] != "null" else ", or ".join(parts)
    if origin is tuple and ... not in arguments:
        return f"a list of {len(arguments)}: {', '.join(map(describe, arguments))}"
    if origin in SEQUENCES:
        return f"a list of {_plural(describe(arguments[0]))}"
    return "a mapping" if origin in MAPPINGS else str(annotation)


def _fits(value: object, annotation: Any) -> bool:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):  # an object of Python, or one that contains itself
        return False
    try:
        _adapter(annotation).validate_json(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=512)
def _adapter(annotation: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter  # what imports aevq need not wait for it

    return TypeAdapter(annotation, config=ConfigDict(strict=True, allow_inf_nan=False))


def _ranged(kind: Any, limits: tuple[Any, ...]) -> str:
    """`a number in [0, 1)`, `an integer ≥ 1`, `a list of integers, one at least`."""
    for limit in limits:
        if isinstance(limit, Says):
            return limit.words
    if any(isinstance(limit, MinLen) for limit in limits):
        return f"{describe(kind)}, one at least"
    low = next((limit for limit in limits if isinstance(limit, Ge | Gt)), None)
    high = next((limit for limit in limits if isinstance(limit, Le | Lt)), None)
    if kind is int and high is None and isinstance(low, Ge):
        return f"an integer ≥ {low.ge}"
    if low is None and high is None:
        return describe(kind)
    start = "(-inf" if low is None else f"[{low.ge}" if isinstance(low, Ge) else f"({low.gt}"
    end = "inf)" if high is None else f"{high.le}]" if isinstance(high, Le) else f"{high.lt})"
    return f"{describe(kind)} in {start}, {end}"


def _plural(words: str) -> str:
    for one in ("integer", "number", "text"):
        words = words.replace(one, f"{one}s")
    return words.removeprefix("an ").removeprefix("a ")


def _choices(annotation: Any) -> list[Any]:
    """Every word of the literals in an annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return list(arguments)
    deeper = origin in (Union, types.UnionType, Annotated)
    return [choice for argument in arguments for choice in _choices(argument)] if deeper else []


def _shown_plainly(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _shown(value: object) -> str:
    """A value that came, in one line that is not too long."""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}…"
