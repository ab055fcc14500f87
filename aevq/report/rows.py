"""A run as rows of a comparison: one row per prior, so that the rows of several runs can stand in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aevq.metrics.catalogue import of_section

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aevq.runs.result import Result

__all__ = ["COLUMNS", "comparison_rows"]

RECONSTRUCTION, SAMPLES = (of_section(section, headline=True) for section in ("Reconstruction", "Samples"))
COLUMNS = (
    *("model", "data", "seed", "prior", *(metric.name for metric in RECONSTRUCTION), "rate_bits"),
    *(f"samples/{metric.short}" for metric in SAMPLES),
    *("parameters", "seconds", "images_per_second"),
)

Cell = str | int | float | None


def comparison_rows(result: Result, priors: Iterable[str]) -> list[list[Cell]]:
    """Return the rows of a finished run, one cell for each of `COLUMNS`; None for what the run does not have.

    The rate is the number of bits that an image's latent takes by the prior of the row: KL(q(z|x) ‖ N(0, I)) for a
    posterior, the code length for codes.

    Args:
        result: Of the run.
        priors: Names of its priors; without any there is one row.
    """
    return [_row(result, prior) for prior in priors] or [_row(result, "")]


def _row(result: Result, prior: str) -> list[Cell]:
    get = result.metrics.get
    rate = get("rate/kl_bits") if prior == "standard_normal" else get(f"rate/{prior}_bits")
    return [
        *(result.model["name"], result.data["name"], result.seed, prior or None),
        *(get(metric.name) for metric in RECONSTRUCTION),
        rate,
        *(get(metric.name_for(prior=prior)) for metric in SAMPLES),
        *(result.model["parameters"], result.train.get("seconds"), result.train.get("images_per_second")),
    ]
