"""Every target of the project beside the measured value: the tables of experiments/README.md."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aevq.report.statistics import Estimate, estimate
from aevq.report.tables import markdown_grid
from experiments.common.readme import put
from experiments.common.results import Results, has_results, read_results
from experiments.common.study import EXPERIMENTS

__all__ = ["GPU_TARGETS", "TARGETS", "Target", "targets_tables", "write_targets"]

HEADLINE, CODEBOOK, LATENT, LIKELIHOOD = "01_ae_vae_vqvae", "04_codebook", "05_latent_dim", "06_likelihood"
MSE, PERPLEXITY = "reconstruction/mse", "codebook/perplexity"
N01, MIXTURE = "samples/standard_normal/fd", "samples/mixture/fd"
LINEAR, KNN = "probe/latent/linear", "probe/latent/knn"
Measure = Callable[[Results], Estimate | None]


def metric(label: str, name: str) -> Measure:
    """Return a metric of a group."""
    return lambda results: results.get(label, name)


def ratio(above: tuple[str, str], below: tuple[str, str]) -> Measure:
    """Return one metric divided by another, seed by seed."""

    def measure(results: Results) -> Estimate | None:
        pairs = zip(results.of(above[0]), results.of(below[0]), strict=True)
        return estimate([a.metrics[above[1]] / b.metrics[below[1]] for a, b in pairs])

    return measure


def highest(name: str) -> Measure:
    """Return the highest value of all groups."""
    return lambda results: max(_values(results, name, results.labels), key=lambda value: value.mean, default=None)


def lowest(name: str, where: str, limit: float) -> Measure:
    """Return the lowest value of the groups whose metric `where` is at most `limit`; None if there is no such group."""

    def measure(results: Results) -> Estimate | None:
        good = [label for label in results.labels if (value := results.get(label, where)) and value.mean <= limit]
        return min(_values(results, name, good), key=lambda value: value.mean, default=None)

    return measure


def group_with(name: str, **settings: object) -> Measure:
    """Return a metric of the first group with these settings; `.` in a key is written `__`."""
    return lambda results: next((results.get(label, name) for label in results.where(**settings)), None)


def _values(results: Results, name: str, labels: Iterable[str]) -> list[Estimate]:
    return [value for label in labels if (value := results.get(label, name))]


@dataclass(frozen=True)
class Target:
    """A value to be reached.

    Attributes:
        what: Its description.
        better: `≤` if the metric must not be above the goal, `≥` if it must not be below.
        goal: The bound.
        study: Folder of the results.
        measure: Takes the metric from the results.
    """

    what: str
    better: str
    goal: float
    study: str
    measure: Measure

    @property
    def value(self) -> Estimate | None:
        """What the study measured; None if it has no results or no such metric."""
        folder = EXPERIMENTS / self.study
        return self.measure(read_results(folder)) if has_results(folder) else None

    def row(self) -> list[str]:
        """Return the row of a target for two CPU cores."""
        value = self.value
        reached = {"≤": operator.le, "≥": operator.ge}[self.better]
        met = "–" if value is None else "yes" if reached(value.mean, self.goal) else "**no**"
        shown = "not measured" if value is None else str(value)
        return [self.what, f"{self.better} {self.goal:.4g}", shown, met, f"`make study NAME={self.study}`"]

    def gpu_row(self) -> list[str]:
        """Return the row of a target for a GPU, which was not measured on one, with the value of smaller CPU models."""
        return [*self.row()[:2], "not measured", str(self.value or "–")]


CURED = {
    "model__num_codes": 512,
    "model__codebook_update___target_": "aevq.nn.EMAUpdate",
    "model__codebook_init": "kmeans",
    "model__restart__threshold": 0.4,
}
AE_MSE, VAE_NLL = metric("AE", MSE), metric("VAE", "likelihood/nll")
CODE_BOUND = metric("VQVAE", "likelihood/pixelcnn_nll_bound")
SHORTEST = lowest("rate/pixelcnn_bits", MSE, 0.0042)
BOUND = "VQ-VAE, binary images: bound of −log p(x), nats"
TARGETS = [
    Target("AE, D = 32: MSE", "≤", 0.0056, HEADLINE, AE_MSE),
    Target("AE: MSE over that of a PCA of 32 dimensions", "≤", 1 / 3, HEADLINE, ratio(("AE", MSE), ("AE", "pca/mse"))),
    Target("AE: FD of a mixture of 10 over FD of N(0, I)", "≤", 1 / 3, HEADLINE, ratio(("AE", MIXTURE), ("AE", N01))),
    Target("VAE over AE: FD of samples from N(0, I)", "≤", 1 / 3, HEADLINE, ratio(("VAE", N01), ("AE", N01))),
    Target("VAE, binary images: NLL, nats", "≤", 86.8, LIKELIHOOD, VAE_NLL),
    Target("VQ-VAE, 7×7, K = 256: MSE", "≤", 0.0025, HEADLINE, metric("VQVAE", MSE)),
    Target("VQ-VAE, 7×7, K = 256: perplexity", "≥", 153.6, HEADLINE, metric("VQVAE", PERPLEXITY)),
    Target("PixelCNN: rate, bits, of a VQ-VAE with MSE ≤ 0.0042", "≤", 70, CODEBOOK, SHORTEST),
    Target(BOUND, "≤", 100, LIKELIHOOD, CODE_BOUND),
    Target("linear probe, the best of the latents", "≥", 0.96, LATENT, highest(LINEAR)),
    Target("5-NN probe, the best of the latents", "≥", 0.97, LATENT, highest(KNN)),
]
PIXELCNN_FD = ratio(("VQVAE", "samples/pixelcnn/fd"), ("VQVAE", "reconstruction/fd"))
GPU_TARGETS = [
    Target("AE, D = 32: MSE", "≤", 0.0025, HEADLINE, AE_MSE),
    Target("VAE, binary images: NLL, nats", "≤", 81.1, LIKELIHOOD, VAE_NLL),
    Target("VQ-VAE, 7×7, K = 512: MSE", "≤", 0.0012, CODEBOOK, group_with(MSE, **CURED)),
    Target("VQ-VAE, 7×7, K = 512: perplexity", "≥", 409.6, CODEBOOK, group_with(PERPLEXITY, **CURED)),
    Target("VQ-VAE, 8×8 on 32×32 pixels: PSNR, dB", "≥", 36.3, HEADLINE, lambda results: None),  # in no study
    Target("PixelCNN: FD of samples over FD of reconstructions", "≤", 2, HEADLINE, PIXELCNN_FD),
    Target(BOUND, "≤", 90, LIKELIHOOD, CODE_BOUND),
    Target("linear probe, the best of the latents", "≥", 0.975, LATENT, highest(LINEAR)),
    Target("5-NN probe, the best of the latents", "≥", 0.98, LATENT, highest(KNN)),
]


def targets_tables() -> dict[str, str]:
    """Return a row for each target, by the marks that the tables stand between."""
    head = ["target, two CPU cores, a run of ten minutes at most", "goal", "measured", "met", "command"]
    gpu_head = ["target, one large GPU, five minutes", "goal", "measured", "on two CPU cores"]
    return {
        "targets": markdown_grid(head, [target.row() for target in TARGETS]),
        "gpu_targets": markdown_grid(gpu_head, [target.gpu_row() for target in GPU_TARGETS]),
    }


def write_targets() -> None:
    """Put the tables into experiments/README.md."""
    for mark, text in targets_tables().items():
        put(EXPERIMENTS / "README.md", mark, text)
