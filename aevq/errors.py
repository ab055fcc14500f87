"""Errors that a user can correct: they name the argument, what was expected and what came.

The command line prints a `UserError` as one line and exits non-zero. Any other error is a bug and keeps its traceback.
"""

from __future__ import annotations

import signal
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, the command should be tried again
INTERRUPTED = 130  # the exit code that a shell reports after Ctrl-C


class UserError(ValueError):
    """Bad input from outside: a configuration value, a file, a name."""


class Stopped(KeyboardInterrupt):
    """A signal stopped the training, after its state was saved.

    Attributes:
        signum: The number of the signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """The exit code of the process."""
        return INTERRUPTED if self.signum == signal.SIGINT else PREEMPTED


def expect(ok: bool, name: str, expected: str, got: object) -> None:
    """Check one argument.

    Args:
        ok: Whether the argument is valid.
        name: The argument's name, as the user writes it.
        expected: What would be valid, in words.
        got: The value that came.

    Raises:
        UserError: If `ok` is false.
    """
    if not ok:
        raise UserError(f"{name}: expected {expected}, got {got!r}")


def expect_int(name: str, value: object, minimum: int) -> None:
    """Check that one argument is an integer and at least `minimum`.

    Args:
        name: The argument's name, as the user writes it.
        value: The value that came.
        minimum: The smallest valid value.

    Raises:
        UserError: If it is not.
    """
    ok = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
    expect(ok, name, f"an integer ≥ {minimum}", value)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the valid name nearest to `name`, and all valid names.

    >>> did_you_mean("vea", ["ae", "vae", "vqvae"])
    "did you mean 'vae'? (valid: ae, vae, vqvae)"
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    valid = f"(valid: {', '.join(names)})" if names else "(there are none)"
    return f"did you mean {near[0]!r}? {valid}" if near else valid
