"""What a run writes about itself while it goes: config.yaml, result.json, train.log.

Whatever ends a run, `result.json` says so: finished, failed with its error, or interrupted. Only rank 0 writes.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from typing_extensions import override

from aevq.config.secrets import redact
from aevq.errors import Stopped
from aevq.runs.result import Result, write_result
from aevq.runs.status import tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Recorder", "rank"]

log = logging.getLogger("aevq")


def rank() -> int:
    """Rank of this process in its job; 0 before Lightning has started the others."""
    return int(getattr(rank_zero_only, "rank", 0))


class Recorder:
    """Keeps `result.json` of one run up to date.

    Args:
        path: The run folder.
        result: What is known at the start.
        active: Whether this process writes; one per run does.
    """

    def __init__(self, path: Path, result: Result, active: bool) -> None:
        self.path = path
        self.result = result
        self.active = active

    def save(self) -> None:
        """Write `result.json`."""
        if self.active:
            write_result(self.result, self.path / "result.json")

    def _save_if_possible(self) -> None:
        """The last word of a run that fails; where it cannot be written, `running` stays, which is no result either."""
        try:
            self.save()
        except OSError as error:
            log.warning("cannot write %s (%s): it still says running", error.filename, error.strerror)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The run's life: status `running` inside, and what became of it afterwards; its log goes to train.log."""
        self.result.status, self.result.error = "running", None
        self.save()
        with self._logging():
            try:
                yield
            except BaseException as error:
                interrupted = _is_interrupt(error)
                self.result.status = "interrupted" if interrupted else "failed"
                said = " ".join(f"{type(error).__name__}: {error}".split())
                stopped = str(error) if isinstance(error, Stopped) else "stopped by Ctrl-C or SIGTERM"
                self.result.error = stopped if interrupted else redact(said)
                log.debug("%s", traceback.format_exc())
                self._save_if_possible()
                if interrupted and self.active:
                    log.info("python -m aevq.train resume=%s goes on", self.path)
                if interrupted and not isinstance(error, Stopped):
                    raise KeyboardInterrupt from error
                raise
        self.result.status = "finished"
        self.save()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage of the run, into `seconds`; a resumed stage adds to what it took before."""
        log.info("%s …", name)
        tell(stage=name, step=None, steps=None, seconds_left=None)
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.result.seconds[name] = round(self.result.seconds.get(name, 0.0) + seconds, 3)
        self.save()

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Log to train.log (everything; other ranks to a file of their own) and to the terminal (what matters)."""
        name = "train.log" if self.active else f"train.rank{rank()}.log"
        file = _LogFile(self.path / name, encoding="utf-8")
        file.setFormatter(_WithoutSecrets("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
        root = logging.getLogger()
        root.addHandler(file)
        try:
            yield
        finally:
            root.removeHandler(file)
            file.close()


def _is_interrupt(error: BaseException) -> bool:
    """Ctrl-C or SIGTERM; Lightning turns Ctrl-C into a SystemExit that remembers it."""
    if isinstance(error, KeyboardInterrupt | SIGTERMException):
        return True
    return isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)


class _LogFile(logging.FileHandler):
    """A log that a full disk cuts short, instead of filling the terminal with its complaints."""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    @override
    def close(self) -> None:
        with suppress(OSError):
            super().close()


class _WithoutSecrets(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
