"""Pure functions of tensors: likelihoods, divergences, quantization, distances."""
