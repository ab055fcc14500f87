"""The error a user can mend: it names the argument, what was expected and what came.

The command line prints a `UserError` as one line and exits non-zero; anything else is a bug and keeps its
traceback.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "INTERRUPTED",
    "PREEMPTED",
    "Stopped",
    "UserError",
    "did_you_mean",
    "expect",
    "expect_int",
    "expect_ints",
    "expect_number",
    "shown",
]


PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, to be tried again
INTERRUPTED = 130  # what a shell reports of a command that Ctrl-C ended


class UserError(ValueError):
    """Bad input from outside: a config value, a file, a name."""


class Stopped(KeyboardInterrupt):
    """The training was stopped by a signal, after it was saved.

    Attributes:
        signum: Which signal it was.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        return INTERRUPTED if self.signum == signal.SIGINT else PREEMPTED


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


def expect_int(name: str, value: object, minimum: int) -> None:
    """Check that one argument is a whole number.

    Args:
        name: The argument's name, as the user writes it.
        value: The value that came.
        minimum: The smallest good value.

    Raises:
        UserError: If it is not.
    """
    expect(_is_int(value, minimum), name, f"an integer ≥ {minimum}", value)


def expect_ints(name: str, values: object, minimum: int) -> None:
    """Check that one argument is a list of whole numbers, one at least; arguments as in `expect_int`.

    Raises:
        UserError: If it is not.
    """
    good = isinstance(values, Sequence) and len(values) > 0 and all(_is_int(value, minimum) for value in values)
    expect(good, name, f"a list of integers ≥ {minimum}", list(values) if isinstance(values, Sequence) else values)


def expect_number(name: str, value: object, interval: str) -> None:
    """Check that one argument is a number in an interval.

    Args:
        name: The argument's name, as the user writes it.
        value: The value that came.
        interval: In the usual notation: `[0, 1)` is 0 ≤ value < 1, `(0, inf)` any positive number.

    Raises:
        UserError: If it is not.
    """
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    good = good and not (interval[0] == "(" and value == low) and not (interval[-1] == ")" and value == high)
    expect(good, name, f"a number in {interval}", value)


def _is_int(value: object, minimum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def shown(key: str) -> str:
    """A key that came from outside, in one line."""
    return key if key.isprintable() else repr(key)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest valid name and the list of all, as the end of an error's sentence.

    >>> did_you_mean("vea", ["ae", "vae", "vqvae"])
    "did you mean 'vae'? (valid: ae, vae, vqvae)"
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    valid = f"(valid: {', '.join(names)})" if names else "(there are none)"
    return f"did you mean {near[0]!r}? {valid}" if near else valid
