"""Secrets stay out of whatever is written: configurations may not hold one, and texts are cleared of those we know."""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aevq.errors import UserError

__all__ = ["known_secrets", "redact", "refuse_secrets", "refuse_typed_secrets"]

NAMED_SO = re.compile(r"(^|[_-])(key|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
SHORTEST = 8  # of a secret that is looked for: shorter ones are in many texts
HIDDEN = "[secret]"
ADVICE = "no secret belongs into a configuration, it would be stored with the run; use the environment or netrc"


def known_secrets() -> set[str]:
    """Values of environment variables that are named like secrets, and the passwords in netrc."""
    found = {value for name, value in os.environ.items() if NAMED_SO.search(name)}
    try:
        hosts = netrc.netrc(os.environ.get("NETRC") or Path("~/.netrc").expanduser()).hosts
    except (OSError, RuntimeError, netrc.NetrcParseError):
        hosts = {}
    found |= {password for _, _, password in hosts.values() if password}
    return {secret for secret in found if len(secret) >= SHORTEST}


def redact(text: str) -> str:
    """`text` without any secret that is known."""
    for secret in known_secrets():
        text = text.replace(secret, HIDDEN)
    return text


def refuse_typed_secrets(arguments: Iterable[str]) -> None:
    """Refuse a command line that sets a key named like a secret, or says one, before anything is done with it.

    Raises:
        UserError: If there is such an argument; it names the key, never the value.
    """
    secrets = known_secrets()
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and ((_is_named_so(key) and _could_be_one(value)) or any(secret in value for secret in secrets)):
            raise UserError(f"{key.lstrip('+~-')}: {ADVICE}")


def refuse_secrets(plain: Mapping[str, Any], path: str = "") -> None:
    """Refuse a configuration that holds a secret, also one that an interpolation brought in.

    Raises:
        UserError: If it does; it names the key, never the value.
    """
    secrets = known_secrets()
    for key, value in _leaves(plain, path):
        named_so = _is_named_so(key) and isinstance(value, str)
        if named_so or (isinstance(value, str) and any(secret in value for secret in secrets)):
            raise UserError(f"{key}: {ADVICE}")


def _is_named_so(key: str) -> bool:
    return NAMED_SO.search(re.split(r"[./@]", key)[-1]) is not None


def _could_be_one(value: str) -> bool:
    """Whether a typed value is a text, and so may be a secret."""
    return re.fullmatch(r"(|null|true|false|[-+\d.eE]+)", value) is None


def _leaves(node: Any, path: str) -> Iterable[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _leaves(value, path)
    else:
        yield path, node
