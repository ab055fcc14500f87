"""Keeps result.json and train.log of a run up to date.

However a run ends, `result.json` says how: finished, failed with its error, or interrupted. Only rank 0 writes.
"""

import logging
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytorch_lightning.utilities.exceptions import SIGTERMException
from typing_extensions import override

from aevq.config.rank import rank
from aevq.config.secrets import redact
from aevq.errors import Stopped
from aevq.runs.folder import RESULT_FILE
from aevq.runs.result import Result, write_result
from aevq.runs.status import report_status

log = logging.getLogger("aevq")


class Recorder:
    """Keeps `result.json` of the run in folder `path` up to date, if it is `active`: of each run one process is."""

    def __init__(self, path: Path, result: Result, active: bool) -> None:
        self.path, self.result, self.active = path, result, active

    def save(self) -> None:
        """Write `result.json`."""
        if self.active:
            write_result(self.result, self.path / RESULT_FILE)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set the status to `running` inside and to the outcome afterwards; send the log to train.log."""
        self.result.status, self.result.error = "running", None
        self.save()
        with self._logging():
            try:
                yield
            except BaseException as error:
                cause = error.__context__ if isinstance(error, SystemExit) else None  # Lightning makes it of Ctrl-C
                stopped = isinstance(error, KeyboardInterrupt | SIGTERMException)
                interrupted = stopped or isinstance(cause, KeyboardInterrupt)
                self._record(error, interrupted)
                if interrupted and not isinstance(error, Stopped):
                    raise KeyboardInterrupt from error
                raise
        self.result.status = "finished"
        self.save()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the wall time of a stage to `seconds`; a resumed stage adds to the time it took before."""
        log.info("%s …", name)
        report_status(stage=name, step=None, steps=None, seconds_left=None)
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.result.seconds[name] = round(self.result.seconds.get(name, 0.0) + seconds, 3)
        self.save()

    def _record(self, error: BaseException, interrupted: bool) -> None:
        """Save how the run ended. If the disk refuses, `running` stays in the file, which is not a result either."""
        log.debug("%s", traceback.format_exc())
        if interrupted:
            self.result.status = "interrupted"
            self.result.error = str(error) if isinstance(error, Stopped) else "stopped by Ctrl-C or SIGTERM"
        else:
            self.result.status = "failed"
            self.result.error = redact(" ".join(f"{type(error).__name__}: {error}".split()))
        try:
            self.save()
        except OSError as failure:
            log.warning("cannot write %s (%s): its status is still running", failure.filename, failure.strerror)
        if interrupted and self.active:
            log.info("to resume: python -m aevq.train resume=%s", self.path)

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Write the log to train.log, of the other ranks to a file each."""
        name = "train.log" if self.active else f"train.rank{rank()}.log"
        file = _LogFile(self.path / name, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
        root = logging.getLogger()
        root.addHandler(file)
        try:
            yield
        finally:
            root.removeHandler(file)
            file.close()


class _LogFile(logging.FileHandler):
    """A log file without known secrets. It ignores a full disk, instead of printing a traceback for each record."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    @override
    def close(self) -> None:
        with suppress(OSError):
            super().close()
