"""Pure functions of tensors: likelihoods, divergences, quantization, distances.

Nothing here has state, parameters or settings: modules are in `aevq.nn`, metrics in `aevq.metrics`.
"""
