"""Every use of a private attribute of Lightning, checked against pytorch-lightning 2.6.

`pyproject.toml` keeps Lightning below 2.7 because of this file.
"""

import sys
import time
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.strategies.launchers import subprocess_script

from aevq.training.stop import death_of

SECONDS_TO_RECORD = 5  # in which rank 0 can notice the broken connection and record the dead rank, before it is killed


def set_stop(trainer: pl.Trainer, stop: bool) -> None:
    """Let Lightning raise a SIGTERMException where a step is complete and logged; or take that back."""
    trainer._signal_connector.received_sigterm = stop


def accumulating(trainer: pl.Trainer) -> bool:
    """Return whether gradients are being accumulated: the last batch did not complete an optimizer step."""
    return trainer.fit_loop.epoch_loop._should_accumulate()


def can_stop_early(trainer: pl.Trainer) -> bool:
    """Return whether `trainer.should_stop` ends the training now, and not only after `min_steps` or `min_epochs`."""
    return trainer.fit_loop._can_stop_early


def disable_signal_handlers(trainer: pl.Trainer) -> None:
    """Disable Lightning's own handling of signals.

    Its handlers communicate inside a signal handler, wherever the process is at that moment, and because of them every
    step broadcasts a flag and waits for it (https://github.com/Lightning-AI/pytorch-lightning/pull/21640).
    """
    loop: Any = trainer.fit_loop.epoch_loop
    loop._broadcast_sigterm_tensor = lambda: None
    connector: Any = trainer._signal_connector
    connector.register_signal_handlers = lambda: None


class _NamingObserver(subprocess_script._ChildProcessObserver):
    def _terminate_all(self) -> None:
        time.sleep(SECONDS_TO_RECORD)  # this thread ends with the process if rank 0 ends by itself
        for rank, process in enumerate(self._child_processes, start=1):
            if code := process.returncode:
                print(f"error: {death_of(rank, code)}; the run has stopped and can be resumed", file=sys.stderr)
        sys.stderr.flush()
        super()._terminate_all()


def name_dead_ranks() -> None:
    """Let rank 0 name the rank that died, where Lightning kills all others before they notice the broken connection."""
    launchers: Any = subprocess_script
    launchers._ChildProcessObserver = _NamingObserver
