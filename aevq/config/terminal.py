"""What a command says on the terminal: this package's messages and Hydra's, and nothing that nobody could mend.

On a terminal that has no UTF-8 signs are written out, and no text from outside can steer it.

Imports neither torch nor Lightning: a command that trains nothing, say `--help`, does without them.
"""

from __future__ import annotations

import codecs
import logging
import sys
import warnings
from typing import TextIO

from typing_extensions import override

__all__ = ["harmless", "quiet_libraries", "take_any_terminal", "terminal_logging"]

# What Lightning and torch say among themselves; nothing that a user of aevq could mend.
ADVICE = (
    ".*treespec, LeafSpec.*",
    ".*does not have many workers.*",
    ".*is smaller than the logging interval.*",
    "Grad strides do not match bucket view strides.*",
    "The `srun` command is available.*",  # on the front machine of a cluster, from which sweeps are submitted
)
# What our own texts use; any other sign becomes a question mark.
WRITTEN_OUT = {
    "≥": ">=",
    "≤": "<=",
    "×": "x",
    "–": "-",
    "—": "-",
    "…": "...",
    "±": "+-",
    "→": "->",
    "·": "*",
    "σ": "sigma",
    "β": "beta",
    "α": "alpha",
    "μ": "mu",
    "−": "-",
    "↓": "(lower)",
    "↑": "(higher)",
    "∞": "inf",
    "²": "^2",
}
HANDLER = "aevq_written_out"


def terminal_logging() -> None:
    """Send the messages of this package and of Hydra to the terminal; of several processes only those of the first."""
    root = logging.getLogger()
    if any(isinstance(handler, _Terminal) for handler in root.handlers):
        return
    handler = _Terminal()
    handler.setLevel(logging.INFO)
    handler.addFilter(lambda record: record.name.startswith(("aevq", "hydra")) and _is_first())
    handler.setFormatter(_Plain())
    root.addHandler(handler)
    logging.getLogger("aevq").setLevel(logging.DEBUG)


def quiet_libraries() -> None:
    """Keep the advice of Lightning and torch to themselves; to be called when they are imported."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in ADVICE:
        warnings.filterwarnings("ignore", message=message)


def _is_first() -> bool:
    """Whether this is rank 0, as far as Lightning is imported and has said so."""
    module = sys.modules.get("lightning_utilities.core.rank_zero")  # where Lightning keeps it
    return getattr(getattr(module, "rank_zero_only", None), "rank", 0) == 0


def take_any_terminal() -> None:
    """Let stdout and stderr take every text, whatever their encoding."""
    codecs.register_error(HANDLER, _write_out)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=HANDLER)


def _write_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(WRITTEN_OUT.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def harmless(text: str) -> str:
    """A name from a file without the signs that move a terminal's cursor or change its colours."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "�" for sign in text)


class _Plain(logging.Formatter):
    """The message; a warning is called one."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return f"WARNING: {message}" if record.levelno >= logging.WARNING else message


class _Terminal(logging.StreamHandler):
    """Writes to whatever `sys.stderr` is at the time: a program may exchange it."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Nothing to keep."""
