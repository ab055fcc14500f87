"""Training a model and fitting its priors: the Trainer, its callbacks, checkpoints, stop signals, loggers.

What a step minimises is in `aevq.models` and `aevq.priors`. The order of a run's stages is `aevq.train`.
"""
