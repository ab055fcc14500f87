"""The headline tables of the root README.md, from the results of study 1."""

from itertools import zip_longest

from aevq.metrics.catalogue import BEST_RATE, entry
from aevq.report.tables import head_text, markdown_grid
from experiments.common.readme import put
from experiments.common.results import Results, read_results
from experiments.common.study import EXPERIMENTS
from experiments.common.tables import table, uncompared

__all__ = ["front_page", "write_front_page"]

README, STUDY = EXPERIMENTS.parent / "README.md", EXPERIMENTS / "01_ae_vae_vqvae"
MODELS = {"AE, 32 dimensions": "AE", "VAE, 16 dimensions": "VAE", "VQ-VAE, 7×7 of 256 codes": "VQVAE"}
HEADLINE = (
    *(f"reconstruction/{name}" for name in ("mse", "sharpness", "fd")),
    uncompared(BEST_RATE),
    *("probe/latent/linear", "probe/latent/knn"),
    uncompared("parameters"),
)
VECTORS = {
    "N(0, I)": "standard_normal",
    "a fitted normal": "fitted_normal",
    "a mixture of 10": "mixture",
    "a mixture of 100": "mixture100",
}
CODES = {"uniform codes": "uniform", "marginals of each position": "marginals", "PixelCNN": "pixelcnn"}


def front_page() -> dict[str, str]:
    """Return both tables, by the marks that they stand between."""
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
    """Return the table with priors of vectors on the left and priors of codes on the right."""
    fd, coverage = (head_text(entry(f"samples/<prior>/{name}")) for name in ("fd", "coverage"))
    head = ["samples from", f"AE: {fd}", coverage, f"VAE: {fd}", coverage, "", f"VQ-VAE: {fd}", coverage]
    right = [[title, *_pair(results, "VQVAE", prior)] for title, prior in CODES.items()]
    left = [[title, *_pair(results, "AE", prior), *_pair(results, "VAE", prior)] for title, prior in VECTORS.items()]
    real = str(results.get("AE", "real/fd"))
    rows = [[*a, *b] for a, b in zip_longest(left, right, fillvalue=[""] * 3)]
    return markdown_grid(head, [*rows, ["real data (train images)", *([real, ""] * 2), "", real, ""]])


def _pair(results: Results, label: str, prior: str) -> list[str]:
    return [str(results.get(label, f"samples/{prior}/{name}")) for name in ("fd", "coverage")]
