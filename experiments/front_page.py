"""The headline of README.md, from the results of study 1."""

from __future__ import annotations

from itertools import zip_longest

from aevq.report.catalogue import Metric
from aevq.report.tables import Cell
from aevq.report.text import markdown_grid
from experiments.common.readme import put
from experiments.common.results import Results, read_results
from experiments.common.study import EXPERIMENTS
from experiments.common.tables import table

__all__ = ["front_page", "write_front_page"]

README, STUDY = EXPERIMENTS.parent / "README.md", EXPERIMENTS / "01_ae_vae_vqvae"
MODELS = {
    "AE, 32 numbers": ("AE", ""),
    "VAE, 16 numbers": ("VAE", ""),
    "VQ-VAE, 7×7 of 256 codes": ("VQVAE", ""),
}
HEADLINE = (
    Metric("reconstruction/mse", "MSE", "lower"),
    Metric("reconstruction/sharpness", "sharpness", "one"),
    Metric("reconstruction/fd", "reconstruction fd", "lower"),
    Metric("rate/kl_bits|rate/pixelcnn_bits", "rate, bits"),
    Metric("probe/latent/linear", "linear probe", "higher"),
    Metric("probe/latent/knn", "5-NN probe", "higher"),
    Metric("parameters", "parameters"),
)
VECTORS = {
    "N(0, I)": "standard_normal",
    "a fitted normal": "fitted_normal",
    "a mixture of 10": "mixture",
    "a mixture of 100": "mixture100",
}
CODES = {"uniform codes": "uniform", "marginals of each position": "marginals", "PixelCNN": "pixelcnn"}


def front_page() -> dict[str, str]:
    """Both tables, by the marks that they stand between."""
    results = read_results(STUDY)
    return {
        "reconstruction": table(results, "10,000 test images", HEADLINE, MODELS),
        "samples": _samples(results),
    }


def write_front_page() -> None:
    """Put both tables into README.md."""
    for mark, text in front_page().items():
        put(README, mark, text)


def _samples(results: Results) -> str:
    """Priors of vectors on the left, of codes on the right."""
    head = ["samples from", "AE: fd", "coverage", "VAE: fd", "coverage", "", "VQ-VAE: fd", "coverage"]
    right = [[title, *_pair(results, "VQVAE", prior)] for title, prior in CODES.items()]
    left = [[title, *_pair(results, "AE", prior), *_pair(results, "VAE", prior)] for title, prior in VECTORS.items()]
    floor = str(Cell(results.get("AE", "floor/fd")))
    rows = [[*a, *b] for a, b in zip_longest(left, right, fillvalue=[""] * 3)]
    return markdown_grid(head, [*rows, ["floor: train images", *([floor, ""] * 2), "", floor, ""]])


def _pair(results: Results, label: str, prior: str) -> list[str]:
    return [str(Cell(results.get(label, f"samples/{prior}/{name}"))) for name in ("fd", "coverage")]
