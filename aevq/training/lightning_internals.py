"""Every use of a private attribute of Lightning, checked against pytorch-lightning 2.5 and 2.6.

`pyproject.toml` keeps Lightning below 2.7 because of this file.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

__all__ = ["can_stop_early", "disable_signal_handlers", "set_stop"]


def set_stop(trainer: pl.Trainer, stop: bool) -> None:
    """Let Lightning raise a SIGTERMException where a step is complete and logged; or take that back."""
    trainer._signal_connector.received_sigterm = stop


def disable_signal_handlers(trainer: pl.Trainer) -> None:
    """Disable Lightning's own handling of signals.

    Its handlers communicate inside a signal handler, wherever the process is at that moment, and because of them every
    step broadcasts a flag and waits for it (https://github.com/Lightning-AI/pytorch-lightning/pull/21640).
    """
    loop: Any = trainer.fit_loop.epoch_loop
    if hasattr(loop, "_broadcast_sigterm_tensor"):
        loop._broadcast_sigterm_tensor = _do_nothing
    connector: Any = trainer._signal_connector
    connector.register_signal_handlers = _do_nothing


def can_stop_early(trainer: pl.Trainer) -> bool:
    """Whether `trainer.should_stop` ends the training now, and not only after `min_steps` or `min_epochs`."""
    return trainer.fit_loop._can_stop_early


def _do_nothing() -> None:
    """Stand in for a method."""
