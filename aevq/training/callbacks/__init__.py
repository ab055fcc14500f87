"""Callbacks of Lightning's Trainer: checkpoints, exact resume, stop requests, progress, speed, image panels."""

from aevq.training.callbacks.checkpoint import AtomicCheckpointIO, Checkpoint, CheckpointContent
from aevq.training.callbacks.monitors import CodebookHealth, ReconstructionPanel, SamplePanel, Throughput
from aevq.training.callbacks.progress import StepProgress
from aevq.training.callbacks.resume import ExactResume, StopOnRequest

__all__ = ["AtomicCheckpointIO", "Checkpoint", "CheckpointContent", "CodebookHealth", "ExactResume"]
__all__ += ["ReconstructionPanel", "SamplePanel", "StepProgress", "StopOnRequest", "Throughput"]
