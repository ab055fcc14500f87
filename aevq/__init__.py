"""aevq: autoencoders, variational and vector-quantised, on one MNIST."""
