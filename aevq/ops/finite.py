"""Detection of diverged training: a loss or weight that is NaN or infinite is reported at its step and never saved."""

import math
from collections.abc import Mapping

from torch import Tensor, nn

from aevq.errors import UserError


class Diverged(UserError):
    """A loss or a weight is NaN or infinite."""


class FiniteCheck:
    """Checks the loss terms of every step.

    On a CPU a step is checked at once, before the optimizer uses its loss. On an accelerator that would wait for the
    device at every step, so there the terms are kept until `flush`, which still names the first bad step.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[int, tuple[str, ...], Tensor]] = []

    def add(self, step: int, names: tuple[str, ...], values: Tensor) -> None:
        """Check the terms of a step, `(T,)`, and raise `Diverged` if one is not finite; or keep them for `flush`."""
        self._kept.append((step, names, values))
        if values.device.type == "cpu":
            self.flush()

    def flush(self) -> None:
        """Check the terms that were kept, and raise `Diverged` if one was not finite."""
        kept, self._kept = self._kept, []
        for step, names, values in kept:
            check_finite(dict(zip(names, values.tolist(), strict=True)), f"training diverged at step {step}")


def check_finite(values: Mapping[str, float], when: str) -> None:
    """Raise `Diverged` if a number is NaN or infinite; the message begins with `when` and names all that are."""
    if bad := [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]:
        raise Diverged(f"{when}: {', '.join(bad)}")


def check_finite_weights(module: nn.Module, step: int) -> None:
    """Raise `Diverged` if a parameter of a module that is about to be saved is NaN or infinite.

    Buffers may be infinite, as a causal mask is.
    """
    for name, tensor in module.named_parameters():
        if not bool(tensor.isfinite().all()):
            raise Diverged(f"training diverged at step {step}: the weight {name} is not finite, so nothing was saved")
