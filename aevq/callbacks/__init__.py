"""Callbacks of Lightning's Trainer."""

from aevq.callbacks.checkpoint import SelfDescribing
from aevq.callbacks.codebook import CodebookHealth
from aevq.callbacks.pictures import ReconstructionPanel, SamplePanel
from aevq.callbacks.throughput import Throughput
from aevq.callbacks.validation import ValidateEvery

__all__ = ["CodebookHealth", "ReconstructionPanel", "SamplePanel", "SelfDescribing", "Throughput", "ValidateEvery"]
