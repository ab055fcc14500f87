"""Small files that know whether they were changed: a SHA-256 of the content stands in the content.

It notices a flipped bit and a file that is cut off. It is no signature: who means harm writes a fitting one, and what a
file may say is checked all the same.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

__all__ = ["Broken", "seal_json", "seal_yaml", "unseal_json", "unseal_yaml"]

KEY = "sha256"
FOOTER = "# sha256 of all above: "


class Broken(ValueError):
    """A sealed file was changed, or is no longer whole."""


def seal_json(values: dict[str, Any]) -> str:
    """`values` as JSON with their seal.

    Raises:
        ValueError: If a number is not finite: JSON has none such.
    """
    return json.dumps({**values, KEY: _digest(values)}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def unseal_json(text: str) -> dict[str, Any]:
    """The values of a text by `seal_json`; a text without a seal, of an older version or made by hand, is believed.

    Raises:
        Broken: If the seal does not fit, or the text is no JSON object, or has a number that is not finite.
    """
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Broken(str(error)) from error
    if not isinstance(values, dict):
        raise Broken(f"expected an object, got {type(values).__name__}")
    found = values.pop(KEY, None)
    if found is not None and found != _digest(values):
        raise Broken("it was changed since it was written: its SHA-256 does not fit")
    return values


def seal_yaml(text: str) -> str:
    """A yaml with its seal as the last line."""
    return f"{text}{FOOTER}{sha256(text.encode()).hexdigest()}\n"


def unseal_yaml(text: str, must_be_sealed: bool) -> str:
    """The yaml without its seal.

    Args:
        text: By `seal_yaml`, or of an older version.
        must_be_sealed: Whether it is known that it had a seal.

    Raises:
        Broken: If the seal does not fit, or is missing though there was one.
    """
    body, footer, found = text.rpartition(FOOTER)
    if not footer:
        if must_be_sealed:
            raise Broken("it was changed or cut off since it was written: its last line, a SHA-256, is missing")
        return text
    if found.strip() != sha256(body.encode()).hexdigest():
        raise Broken("it was changed since it was written: its SHA-256 does not fit")
    return body


def _digest(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"a number that is not finite: {name}")
