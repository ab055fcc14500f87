"""Study 7: is an image of a digit that was left out of training recognised as unusual?"""

import statistics
from collections.abc import Sequence

from aevq.report.statistics import Estimate, estimate
from aevq.report.tables import markdown_grid
from experiments.common.results import Results, Row
from experiments.common.study import Study

SCORES = {
    "AE, reconstruction error": ("AE", "reconstruction_error"),
    "VAE, reconstruction error": ("VAE", "reconstruction_error"),
    "VAE, ELBO": ("VAE", "elbo"),
    "VQ-VAE, reconstruction error": ("VQVAE", "reconstruction_error"),
    "VQ-VAE, PixelCNN code length": ("VQVAE", "pixelcnn_code_length"),
}
DIGITS = range(10)


def tables(results: Results) -> dict[str, str]:
    """Return a table with one row for each score and one column for each digit; the last column is their mean."""
    rows = [
        [title, *(_short(_auroc(results, *score, [digit])) for digit in DIGITS), str(_auroc(results, *score, DIGITS))]
        for title, score in SCORES.items()
    ]
    return {"auroc": markdown_grid(["", *map(str, DIGITS), "mean"], rows)}


def _short(value: Estimate | None) -> str:
    return "–" if value is None else f"{value.mean:.2f} {'' if value.std is None else f'± {value.std:.2f}'}".rstrip()


def _auroc(results: Results, model: str, score: str, digits: Sequence[int]) -> Estimate | None:
    """Return the mean over digits, over the seeds that have all of them."""
    rows = [row for label in results.where(model) for row in results.of(label)]
    means = [
        _mean([row for row in rows if row.seed == seed], f"anomaly/{score}/auroc", digits) for seed in results.seeds
    ]
    return estimate([mean for mean in means if mean is not None])


def _mean(rows: list[Row], name: str, digits: Sequence[int]) -> float | None:
    found = {int(row.settings["data.leave_out"]): row.metrics[name] for row in rows if name in row.metrics}
    return statistics.mean(found[digit] for digit in digits) if found.keys() >= set(digits) else None


PIXELCNN = (
    "{num_clusters:0,ema_decay:0.0,batch_size:64,val_every_steps:300}"  # the recipe that the study was measured with
)
STUDY = Study(
    sweeps=[
        ["experiment=anomaly", "model=ae,vae"],
        ["experiment=anomaly", "model=vqvae", "prior=pixelcnn", f"prior.pixelcnn={PIXELCNN}"],
    ],
    tables=tables,
    mixed=True,
)
