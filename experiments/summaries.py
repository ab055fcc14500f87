"""The tables that summarise the studies: the targets beside the measured values, and those of the root README.md."""

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from aevq.metrics.catalogue import BEST_RATE, entry
from aevq.report.statistics import Estimate, estimate
from aevq.report.tables import head_text, markdown_grid
from experiments.common.readme import put
from experiments.common.results import Results, has_results, read_results
from experiments.common.study import EXPERIMENTS
from experiments.common.tables import table, uncompared

PRESETS = EXPERIMENTS / "presets.json"  # runs of `experiment=` presets; a metric of several seeds is a list
Measure = Callable[[Results], Estimate | None]


@dataclass(frozen=True)
class Target:
    """A value to be reached."""

    what: str
    better: str  # `≤` if the metric must not be above the goal, `≥` if it must not be below
    goal: float
    source: str  # a study, or a preset that was run once
    measure: str | Measure  # takes the metric from the study's results; the metric's name if the source is a preset
    on_gpu: tuple[str, str] | None = None  # a preset that was run on a GPU, and the metric's name

    @property
    def value(self) -> Estimate | None:
        """What was measured; None if the study has no results or no such metric."""
        if isinstance(self.measure, str):
            return preset(self.source, self.measure)
        folder = EXPERIMENTS / self.source
        return self.measure(read_results(folder)) if has_results(folder) else None

    def row(self) -> list[str]:
        """Return the row of a target for two CPU cores."""
        value = self.value
        reached = {"≤": operator.le, "≥": operator.ge}[self.better]
        met = "–" if value is None else "yes" if reached(value.mean, self.goal) else "**no**"
        name = f"experiment={self.source}" if isinstance(self.measure, str) else f"make study NAME={self.source}"
        return [self.what, f"{self.better} {self.goal:.4g}", str(value or "not measured"), met, f"`{name}`"]

    def gpu_row(self) -> list[str]:
        """Return the row of a target for a GPU, with the value of the smaller models that CPUs can train."""
        value, name = (preset(*self.on_gpu), f"`experiment={self.on_gpu[0]}`") if self.on_gpu else (None, "–")
        return [*self.row()[:2], str(value or "not measured"), name, str(self.value or "–")]


def preset(name: str, metric: str) -> Estimate | None:
    """Return a metric of the runs of a preset; None if the preset was not run."""
    runs = json.loads(PRESETS.read_text(encoding="utf-8"))
    if name not in runs:
        return None
    values = runs[name]["metrics"][metric]
    return estimate(values if isinstance(values, list) else [values])


def metric(label: str, name: str) -> Measure:
    """Return a metric of a group."""
    return lambda results: results.get(label, name)


def ratio(label: str, name: str, other_label: str, other_name: str) -> Measure:
    """Return one metric divided by another, seed by seed."""

    def measure(results: Results) -> Estimate | None:
        pairs = zip(results.of(label), results.of(other_label), strict=True)
        return estimate([a.metrics[name] / b.metrics[other_name] for a, b in pairs])

    return measure


def highest(name: str) -> Measure:
    """Return the highest value of all groups."""

    def measure(results: Results) -> Estimate | None:
        found = [value for label in results.labels if (value := results.get(label, name))]
        return max(found, key=lambda value: value.mean, default=None)

    return measure


def shortest_code(results: Results) -> Estimate | None:
    """Return the lowest rate of the VQ-VAEs with a small enough error; None if there is none."""
    good = [label for label in results.labels if (mse := results.get(label, MSE)) and mse.mean <= 0.0042]
    found = [value for label in good if (value := results.get(label, "rate/pixelcnn_bits"))]
    return min(found, key=lambda value: value.mean, default=None)


def cured(name: str) -> Measure:
    """Return a metric of the 512 codes with moving averages, a k-means start and restarts."""
    settings = {
        "model__num_codes": 512,
        "model__codebook_update___target_": "aevq.nn.EMAUpdate",
        "model__codebook_init": "kmeans",
        "model__restart__threshold": 0.4,
    }
    return lambda results: next((results.get(label, name) for label in results.where(**settings)), None)


HEADLINE, CODEBOOK, LATENT, LIKELIHOOD = "01_ae_vae_vqvae", "04_codebook", "05_latent_dim", "06_likelihood"
MSE, PERPLEXITY, BOUND = "reconstruction/mse", "codebook/perplexity", "likelihood/pixelcnn_nll_bound"
N01, MIXTURE, TRANSFORMER = (f"samples/{prior}/fd" for prior in ("standard_normal", "mixture", "transformer"))
COVERAGE = "samples/transformer/coverage"
AE_MSE, NLL, VQ_BOUND = metric("AE", MSE), metric("VAE", "likelihood/nll"), metric("VQVAE", BOUND)
LINEAR, KNN = highest("probe/latent/linear"), highest("probe/latent/knn")
TARGETS = [
    Target("AE, D = 32: MSE", "≤", 0.0056, HEADLINE, AE_MSE),
    Target("AE: MSE over that of a PCA of 32 dimensions", "≤", 1 / 3, HEADLINE, ratio("AE", MSE, "AE", "pca/mse")),
    Target("AE: FD of a mixture of 10 over FD of N(0, I)", "≤", 1 / 3, HEADLINE, ratio("AE", MIXTURE, "AE", N01)),
    Target("VAE over AE: FD of samples from N(0, I)", "≤", 1 / 3, HEADLINE, ratio("VAE", N01, "AE", N01)),
    Target("VAE, binary images: NLL, nats", "≤", 86.8, LIKELIHOOD, NLL),
    Target("VQ-VAE, 7×7, K = 256: MSE", "≤", 0.0025, HEADLINE, metric("VQVAE", MSE)),
    Target("VQ-VAE, 7×7, K = 256: perplexity", "≥", 153.6, HEADLINE, metric("VQVAE", PERPLEXITY)),
    Target("PixelCNN: rate, bits, of a VQ-VAE with MSE ≤ 0.0042", "≤", 70, CODEBOOK, shortest_code),
    Target("VQ-VAE, default prior: FD of samples", "≤", 2.5, HEADLINE, metric("VQVAE", TRANSFORMER)),
    Target("VQ-VAE, default prior: coverage", "≥", 0.8, HEADLINE, metric("VQVAE", COVERAGE)),
    Target("VQ-VAE, a prior of an hour: FD of samples", "≤", 0.79, "vqvae_sampling", TRANSFORMER),
    Target("VQ-VAE, a prior of an hour: coverage", "≥", 0.88, "vqvae_sampling", COVERAGE),
    Target("AE or VAE, a fitted prior: FD of samples", "≤", 0.35, "vae_sampling", "samples/mixture500/fd"),
    Target("the same: nearest train image", "≥", 0.9, "vae_sampling", "samples/mixture500/nearest_train"),
    Target("VQ-VAE, binary images: bound of −log p(x), nats", "≤", 100, LIKELIHOOD, VQ_BOUND),
    Target("linear probe, the best of the latents", "≥", 0.96, LATENT, LINEAR),
    Target("5-NN probe, the best of the latents", "≥", 0.97, LATENT, KNN),
]
VQ_FD = metric("VQVAE", TRANSFORMER)
GPU_TARGETS = [
    Target("AE, D = 32: MSE", "≤", 0.0025, HEADLINE, AE_MSE),
    Target("VAE, binary images: NLL, nats", "≤", 81.1, LIKELIHOOD, NLL),
    Target("VQ-VAE, 7×7, K = 512: MSE", "≤", 0.0012, CODEBOOK, cured(MSE), ("vqvae_best", MSE)),
    Target("VQ-VAE, 7×7, K = 512: perplexity", "≥", 409.6, CODEBOOK, cured(PERPLEXITY), ("vqvae_best", PERPLEXITY)),
    Target("VQ-VAE, 8×8 on 32×32 pixels: PSNR, dB", "≥", 36.3, HEADLINE, lambda results: None),  # in no study
    Target("learned prior of codes: FD of samples", "≤", 0.5, HEADLINE, VQ_FD, ("vqvae_prior_best", TRANSFORMER)),
    Target("VQ-VAE, binary images: bound of −log p(x), nats", "≤", 90, LIKELIHOOD, VQ_BOUND),
    Target("linear probe, the best of the latents", "≥", 0.975, LATENT, LINEAR),
    Target("5-NN probe, the best of the latents", "≥", 0.98, LATENT, KNN),
]

MODELS = {"AE, 32 dimensions": "AE", "VAE, 16 dimensions": "VAE", "VQ-VAE, 7×7 of 256 codes": "VQVAE"}
RECONSTRUCTION = (
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
CODES = {"uniform codes": "uniform", "marginals of each position": "marginals", "a transformer": "transformer"}


def summaries() -> dict[Path, dict[str, str]]:
    """Return the tables, by the README that they stand in and the marks that they stand between."""
    results = read_results(EXPERIMENTS / HEADLINE)
    head = ["target, two CPU cores, a run of ten minutes at most", "goal", "measured", "met", "command"]
    gpu_head = ["target, one large GPU, five minutes", "goal", "measured", "by", "on two CPU cores"]
    return {
        EXPERIMENTS / "README.md": {
            "targets": markdown_grid(head, [target.row() for target in TARGETS]),
            "gpu_targets": markdown_grid(gpu_head, [target.gpu_row() for target in GPU_TARGETS]),
        },
        EXPERIMENTS.parent / "README.md": {
            "reconstruction": table(results, "10,000 test images", RECONSTRUCTION, MODELS),
            "samples": _samples(results),
        },
    }


def write_summaries() -> None:
    """Put the tables into both files."""
    for readme, tables in summaries().items():
        for mark, text in tables.items():
            put(readme, mark, text)


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
