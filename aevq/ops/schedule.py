"""The learning rate as a function of the optimizer step."""

import math


def warmup_cosine_factor(step: int, total_steps: int, warmup: float, final: float) -> float:
    """Return the factor on the learning rate: linear from 0 to 1, then half a cosine from 1 to `final`.

    Args:
        step: Number of optimizer steps that were taken.
        total_steps: Optimizer steps of the whole training.
        warmup: Share of the steps in which the factor rises, in [0, 1).
        final: Factor at the end.

    Returns:
        In (0, 1].
    """
    warmup_steps = warmup * total_steps
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min(1.0, (step - warmup_steps) / max(1.0, total_steps - warmup_steps))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
