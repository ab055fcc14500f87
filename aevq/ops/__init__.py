"""Pure functions of tensors: likelihoods, divergences, quantization, distances.

There are no modules with weights here (`aevq.nn`), and nothing knows Lightning, a configuration or a data set.
"""
