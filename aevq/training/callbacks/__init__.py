"""Callbacks of Lightning's Trainer."""

from aevq.training.callbacks.checkpoint import SelfDescribing
from aevq.training.callbacks.codebook import CodebookHealth
from aevq.training.callbacks.exact_resume import ExactResume
from aevq.training.callbacks.pictures import ReconstructionPanel, SamplePanel
from aevq.training.callbacks.preemption import Preemption
from aevq.training.callbacks.throughput import Throughput
from aevq.training.callbacks.validation import ValidateEvery

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
