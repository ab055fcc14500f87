"""The error a user can mend: it names the argument, what was expected and what came.

The command line prints a `UserError` as one line and exits non-zero; anything else is a bug and keeps its
traceback.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["UserError", "did_you_mean", "expect"]


class UserError(ValueError):
    """Bad input from outside: a config value, a file, a name."""


def expect(ok: bool, name: str, expected: str, got: object) -> None:
    """Check one argument.

    Args:
        ok: Whether the argument is good.
        name: The argument's name, as the user writes it.
        expected: What would have been good, in words.
        got: The value that came.

    Raises:
        UserError: If `ok` is false.
    """
    if not ok:
        raise UserError(f"{name}: expected {expected}, got {got!r}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest valid name and the list of all, as the end of an error's sentence.

    >>> did_you_mean("vea", ["ae", "vae", "vqvae"])
    "did you mean 'vae'? (valid: ae, vae, vqvae)"
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    valid = f"(valid: {', '.join(names)})" if names else "(there are none)"
    return f"did you mean {near[0]!r}? {valid}" if near else valid
