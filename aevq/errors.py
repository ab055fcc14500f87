"""Errors that a user can correct: they name the argument, the expected value and the given one.

The command line prints a `UserError` as one line and exits non-zero. Any other error is a bug and keeps its traceback.
"""

import logging
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

log = logging.getLogger("aevq")

PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, the command should be tried again
INTERRUPTED = 130  # the exit code that a shell reports after Ctrl-C


class UserError(ValueError):
    """Bad input from outside: a configuration value, a file, a name. The message is always one line."""

    def __str__(self) -> str:
        return super().__str__().replace("\n", " ")


class Stopped(KeyboardInterrupt):
    """The signal `signum` stopped the training, after its state was saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """The exit code of the process."""
        return INTERRUPTED if self.signum == signal.SIGINT else PREEMPTED


def expect(ok: bool, name: str, expected: str, got: object) -> None:
    """Raise a `UserError` unless the argument `name`, as the user writes it, is `ok`; `expected` is in words."""
    if not ok:
        raise UserError(f"{name}: expected {expected}, got {got!r}")


def expect_int(name: str, value: object, minimum: int) -> None:
    """Raise a `UserError` unless the argument `name` is an integer and at least `minimum`."""
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


@contextmanager
def optional(what: str) -> Iterator[None]:
    """Leave out what fails inside, with one warning: a plot or a metric never fails a run.

    An OSError is raised: the disk is full or gone, and nothing else could be written either.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        log.warning("%s: left out (%s)", what, " ".join(f"{type(error).__name__}: {error}".split()))
