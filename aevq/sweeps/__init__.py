"""Sweeps: many runs, each in a process of its own, and how to resume them.

The record of a sweep, sweep.json, is read and written by `aevq.runs`. What one job does is `aevq.train`.
"""

from aevq.sweeps.launch import RememberSweep, launch_sweep, remove_unused, resume_sweep

__all__ = ["RememberSweep", "launch_sweep", "remove_unused", "resume_sweep"]
