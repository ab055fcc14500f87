"""Training a model and fitting its priors: the Trainer, its callbacks, checkpoints, stop signals, loggers."""
