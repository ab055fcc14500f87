"""Notice that the machine is wanted back: noted in a training and obeyed between two steps, obeyed at once elsewhere.

SIGTERM and SIGUSR1 are such notices, and so is a signal that a scheduler's wrapper has put a handler on (submitit's
SIGUSR2). Ctrl-C is one too; a second Ctrl-C ends at once. A process that was preempted exits with `PREEMPTED`, so that
whoever started it knows that it saved and goes on if started again.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aevq.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["NOTICES", "Notice"]

# Those that there are: Windows has no SIGUSR1.
NOTICES = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
WRAPPERS = tuple(getattr(signal, name) for name in ("SIGUSR2",) if hasattr(signal, name))


class Notice:
    """Listens for the signals while `listening`, and keeps the first that came.

    Attributes:
        received: The signal; None as long as none has come.
        obeyed: Whether the training was told to stop for it.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.obeyed = False
        self._deferring = False
        self._previous: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals inside; a wrapper's own handler is called afterwards if its signal was the one."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only there can a process take signals
            return
        for listened in (*NOTICES, *WRAPPERS):
            handler = signal.getsignal(listened)
            if listened in NOTICES or callable(handler):
                self._previous[listened] = handler
                signal.signal(listened, self._take)
        try:
            yield
        finally:
            for signum, handler in self._previous.items():
                signal.signal(signum, handler)
            signum = self.received or 0
            if signum in WRAPPERS and callable(wrapper := self._previous.get(signum)):
                wrapper(signum, None)  # submitit puts the job back into the queue, and exits

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note a signal inside: a training looks at `received` between two steps.

        Raises:
            Stopped: At the end, if one came.
        """
        self._deferring = True
        try:
            yield
        except BaseException as error:
            if self.obeyed and self.received is not None:
                raise Stopped(self.received) from error
            raise
        finally:
            self._deferring = False
        if self.received is not None:
            raise Stopped(self.received)

    def _take(self, signum: int, frame: FrameType | None) -> None:
        before, self.received = self.received, self.received or signum
        if before == signum == signal.SIGINT:
            raise KeyboardInterrupt
        if before is not None:
            return  # it is being obeyed
        if not self._deferring:
            raise Stopped(signum)
        if signum == signal.SIGINT:
            os.write(2, b"\nsaving after this step; Ctrl-C again ends at once\n")
