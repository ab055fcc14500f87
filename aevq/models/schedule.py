"""Learning rate schedules over the optimizer steps of a training."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from aevq.config.checks import Configurable, Fraction, Probability
from aevq.ops.schedule import warmup_cosine_factor


class WarmupCosine(Configurable):
    """A linear warm-up, then half a cosine: `aevq.ops.schedule.warmup_cosine_factor`.

    Args:
        warmup: Share of the steps in which the rate rises, in [0, 1).
        final: Factor on the learning rate at the end, in [0, 1].
    """

    def __init__(self, warmup: Probability = 0.1, final: Fraction = 0.0) -> None:
        self.warmup, self.final = warmup, final

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        """Return the schedule of `optimizer` over `total_steps` optimizer steps."""
        return LambdaLR(optimizer, lambda step: warmup_cosine_factor(step, total_steps, self.warmup, self.final))
