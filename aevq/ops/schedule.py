"""The learning rate as a function of the optimizer step."""

import math


def warmup_cosine_factor(step: int, total_steps: int, warmup: float, final: float) -> float:
    """Return the factor on the learning rate after `step` steps: linear from 0 to 1, then half a cosine to `final`.

    It rises over the share `warmup`, in [0, 1), of `total_steps`.
    """
    warmup_steps = warmup * total_steps
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min(1.0, (step - warmup_steps) / max(1.0, total_steps - warmup_steps))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
