"""What a command prints on the terminal: messages of this package and of Hydra.

Imports neither torch nor Lightning: a command that trains nothing, such as `--help`, does without them.
"""

import logging
import sys
import warnings
from typing import TextIO

from typing_extensions import override

from aevq.config.rank import rank

# Messages of Lightning and torch about which a user of aevq can do nothing.
ADVICE = (
    ".*treespec, LeafSpec.*",
    ".*does not have many workers.*",
    ".*is smaller than the logging interval.*",
    "Grad strides do not match bucket view strides.*",
    "The `srun` command is available.*",  # on the login node of a cluster, from which sweeps are submitted
)


def terminal_logging() -> None:
    """Send the messages of this package and of Hydra to the terminal; of several processes only those of rank 0."""
    root = logging.getLogger()
    if any(isinstance(handler, _Terminal) for handler in root.handlers):
        return
    handler = _Terminal()
    handler.setLevel(logging.INFO)
    handler.addFilter(lambda record: record.name.startswith(("aevq", "hydra")) and rank() == 0)
    handler.setFormatter(_Plain())
    root.addHandler(handler)
    logging.getLogger("aevq").setLevel(logging.DEBUG)


def quiet_libraries() -> None:
    """Hide the advice of Lightning and torch. To be called when they are imported."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in ADVICE:
        warnings.filterwarnings("ignore", message=message)


def accept_any_encoding() -> None:
    """Let stdout and stderr accept every text; characters that their encoding lacks are written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class _Plain(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return f"WARNING: {message}" if record.levelno >= logging.WARNING else message


class _Terminal(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at the time: a program may replace it."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Ignore it: there is nothing to keep."""
