"""A run as rows of a comparison: one row a prior, so that the rows of several runs stand in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aevq.runs.result import Result

__all__ = ["COLUMNS", "comparison_rows"]

RECONSTRUCTION = ("reconstruction/mse", "reconstruction/fd", "reconstruction/sharpness")
SAMPLE_FIGURES = ("fd", "kd", "precision", "recall", "density", "coverage")
COLUMNS = (
    *("model", "data", "seed", "prior", *RECONSTRUCTION, "rate_bits"),
    *(f"samples/{figure}" for figure in SAMPLE_FIGURES),
    *("parameters", "seconds", "images_per_second"),
)

Cell = str | int | float | None


def comparison_rows(result: Result, priors: Iterable[str]) -> list[list[Cell]]:
    """The rows of a finished run, a cell for each of `COLUMNS`; None where the run has no such figure.

    The rate is what it takes to send a latent, in bits per image, by the row's prior: KL(q(z|x) ‖ N(0, I)) where there
    is a posterior, the code length where latents are codes.

    Args:
        result: Of the run.
        priors: Names of its priors; without any there is one row.
    """
    rows = [_row(result, prior) for prior in priors]
    return rows or [_row(result, None)]


def _row(result: Result, prior: str | None) -> list[Cell]:
    get = result.metrics.get
    rate = get("rate/kl_bits") if prior == "standard_normal" else get(f"rate/{prior}_bits")
    return [
        *(result.model["name"], result.data["name"], result.seed, prior),
        *(get(name) for name in RECONSTRUCTION),
        rate,
        *(get(f"samples/{prior}/{figure}") for figure in SAMPLE_FIGURES),
        *(result.model["parameters"], result.train.get("seconds"), result.train.get("images_per_second")),
    ]
