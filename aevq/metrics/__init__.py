"""Metrics: functions from tensors to named numbers, the catalogue that describes them, and the evaluation protocol.

Tables and plots of metrics are in `aevq.report`. A new metric needs one file, inside or outside the package: see
`aevq.metrics.subject.Measure`.
"""
