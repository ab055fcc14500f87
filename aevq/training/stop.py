"""Requests to stop: noted while a model trains and carried out between two steps, carried out at once elsewhere.

SIGTERM and SIGUSR1 are such requests, and so is a signal for which a scheduler's wrapper has set a handler (submitit's
SIGUSR2). Ctrl-C is one too; a second Ctrl-C ends the process at once. A process that was stopped exits with
`PREEMPTED`, so whoever started it knows that it saved its state and can be resumed.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from aevq.config.rank import rank
from aevq.errors import Stopped, UserError
from aevq.training.cluster import requeue

log = logging.getLogger("aevq")

# Windows has no SIGUSR1.
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
SECONDS_TO_DIE = 0.5  # between a broken connection and the exit of the process at its other end
WRAPPER_SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR2",) if hasattr(signal, name))


class StopRequest:
    """Listens for signals inside `listening` and keeps the first that came."""

    def __init__(self) -> None:
        self.signum: int | None = None  # the signal; None as long as none has come
        self.accepted = False  # whether the training stops because of it
        self.saved = False  # whether the training has stopped and saved its state
        self.launchers: list[Any] = []  # of Lightning; one of them may have started the processes of further ranks
        self._parent, self._deferring = os.getppid(), False
        self._previous: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals inside; afterwards the wrapper's own handler is called if its signal was the one."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread can handle signals
            return
        for number in (*STOP_SIGNALS, *WRAPPER_SIGNALS):
            if number in STOP_SIGNALS or callable(signal.getsignal(number)):
                self._previous[number] = signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            signum = self.signum or 0
            if signum in WRAPPER_SIGNALS and callable(wrapper := self._previous.get(signum)):
                wrapper(signum, None)  # submitit puts the job back into the queue and exits

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note a signal inside: the training looks at `signum` between two steps.

        Raises:
            Stopped: At the end, if a signal came and the state is saved.
        """
        self._deferring = True
        try:
            with self.naming_dead_ranks():
                yield
        except BaseException as error:
            if self.saved and self.signum is not None:
                raise Stopped(self.signum) from error
            raise
        finally:
            self._deferring = False
        if self.signum is not None:
            raise Stopped(self.signum)

    @contextmanager
    def naming_dead_ranks(self) -> Iterator[None]:
        """Raise a `UserError` that names the dead rank instead of the error that its broken connection causes."""
        try:
            yield
        except RuntimeError as error:
            if "gloo" not in str(error) and not type(error).__name__.startswith("Dist"):
                raise
            raise UserError(f"{self._dead_rank()}; the run has stopped and can be resumed") from error

    def _dead_rank(self) -> str:
        time.sleep(SECONDS_TO_DIE)
        processes = [process for launcher in self.launchers for process in getattr(launcher, "procs", [])]
        for number, process in enumerate(processes, start=rank() + 1):
            if code := process.poll():
                return death_of(number, code)
        return "rank 0 died" if os.getppid() != self._parent else f"rank {rank()} lost the connection to another rank"

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        before, self.signum = self.signum, self.signum or signum
        if before == signum == signal.SIGINT:
            raise KeyboardInterrupt
        if before is not None:
            return  # it is being carried out
        if not self._deferring:
            raise Stopped(signum)
        if signum == signal.SIGINT:
            os.write(2, b"\nsaving after this step; Ctrl-C again ends at once\n")


def death_of(rank: int, code: int) -> str:
    """Return how a rank ended, by the exit code of its process: negative for a signal."""
    return f"rank {rank} died ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"


@contextmanager
def stoppable(stop: StopRequest) -> Iterator[None]:
    """Handle stop signals inside, and the end of a run that is one process of several.

    Raises:
        Stopped: If the process was asked to stop, and saved what there was to save.
    """
    from aevq.nn.distributed import leave_group  # needs torch, and the launcher of a sweep imports this module

    try:
        with stop.listening(), stop.naming_dead_ranks():
            yield
    except Stopped as error:
        if rank() > 0:  # rank 0 reports it; whoever started the others would take the exit code for a crash
            sys.exit(0)
        if signal.Signals(error.signum).name == "SIGUSR1" and (problem := requeue()):
            log.warning("SLURM did not requeue the job (%s); submit it again to resume the run", problem)
        raise
    finally:
        leave_group()
