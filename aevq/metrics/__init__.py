"""What is measured of a model: functions from tensors to named numbers."""

from aevq.metrics.anomaly import anomaly_metrics
from aevq.metrics.codebook import codebook_metrics
from aevq.metrics.pca import pca_mse
from aevq.metrics.probes import probe_metrics
from aevq.metrics.reconstruction import reconstruction_metrics
from aevq.metrics.samples import Reference, features_of, mode_metrics, sample_metrics
from aevq.metrics.terms import image_terms, mean_terms

__all__ = [
    "Reference",
    "anomaly_metrics",
    "codebook_metrics",
    "features_of",
    "image_terms",
    "mean_terms",
    "mode_metrics",
    "pca_mse",
    "probe_metrics",
    "reconstruction_metrics",
    "sample_metrics",
]
