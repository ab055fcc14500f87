"""Callbacks of Lightning's Trainer."""

from aevq.callbacks.checkpoint import SelfDescribing
from aevq.callbacks.codebook import CodebookHealth
from aevq.callbacks.exact_resume import ExactResume
from aevq.callbacks.pictures import ReconstructionPanel, SamplePanel
from aevq.callbacks.preemption import Preemption
from aevq.callbacks.throughput import Throughput
from aevq.callbacks.validation import ValidateEvery

__all__ = [
    "CodebookHealth",
    "ExactResume",
    "Preemption",
    "ReconstructionPanel",
    "SamplePanel",
    "SelfDescribing",
    "Throughput",
    "ValidateEvery",
]
