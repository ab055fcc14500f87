"""Callbacks of Lightning's Trainer: checkpoints, exact resume, stop requests, progress, speed, image panels."""

from aevq.training.callbacks.checkpoint import AtomicCheckpointIO, Checkpoint, CheckpointContent
from aevq.training.callbacks.codebook import CodebookHealth
from aevq.training.callbacks.exact_resume import ExactResume
from aevq.training.callbacks.panels import ReconstructionPanel, SamplePanel
from aevq.training.callbacks.progress import StepProgress
from aevq.training.callbacks.stop import StopOnRequest
from aevq.training.callbacks.throughput import Throughput

__all__ = [
    "AtomicCheckpointIO",
    "Checkpoint",
    "CheckpointContent",
    "CodebookHealth",
    "ExactResume",
    "ReconstructionPanel",
    "SamplePanel",
    "StepProgress",
    "StopOnRequest",
    "Throughput",
]
