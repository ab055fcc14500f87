"""Sweeps: many runs, each in a process of its own, with a record that survives whatever happens to them."""

from __future__ import annotations

from aevq.sweeps.launch import go_on, launch
from aevq.sweeps.record import Sweep, SweepJob, find_sweep, read_sweep
from aevq.sweeps.remember import RememberSweep

__all__ = ["RememberSweep", "Sweep", "SweepJob", "find_sweep", "go_on", "launch", "read_sweep"]
