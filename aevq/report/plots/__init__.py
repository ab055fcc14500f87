"""The plots and image strips of a run folder, PNG files drawn from a model and its priors."""
