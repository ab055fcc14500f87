"""Sweeps: many runs, each in a process of its own, and how to resume them.

The record of a sweep, sweep.json, is read and written by `aevq.runs`. What one job does is `aevq.train`.
"""

from __future__ import annotations

from aevq.sweeps.launch import RememberSweep, launch_sweep
from aevq.sweeps.resume import resume_sweep

__all__ = ["RememberSweep", "launch_sweep", "resume_sweep"]
