"""What is measured of a model: functions from tensors to named numbers."""

from aevq.metrics.codebook import codebook_metrics
from aevq.metrics.reconstruction import reconstruction_metrics

__all__ = ["codebook_metrics", "reconstruction_metrics"]
