"""What a configuration may say: the one home of its types and ranges.

A class states them where it states its arguments, in the annotations of its constructor: `latent_dim: Count`. From
these annotations the schema of a yaml node is derived, and so is the check of a call from Python. A class of somebody
else gets the same for nothing: what it annotates is checked, what it does not is let through.
"""

from __future__ import annotations

from aevq.config.schema.arguments import check_node, checked
from aevq.config.schema.ranges import (
    Count,
    Counts,
    Depth,
    Fraction,
    ImageShape,
    Layers,
    Name,
    NonNegative,
    Odd,
    Positive,
    Probability,
    Says,
    Seed,
    Text,
    Whole,
)
from aevq.config.schema.values import check_value, describe

__all__ = [
    "Count",
    "Counts",
    "Depth",
    "Fraction",
    "ImageShape",
    "Layers",
    "Name",
    "NonNegative",
    "Odd",
    "Positive",
    "Probability",
    "Says",
    "Seed",
    "Text",
    "Whole",
    "check_node",
    "check_value",
    "checked",
    "describe",
]
