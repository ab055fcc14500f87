"""Study 3: the distortion-rate curve of β, with the VQ-VAE's points on the same axes."""

from pathlib import Path

from aevq.report.catalogue import Metric
from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results, has_results, read_results
from experiments.common.study import EXPERIMENTS, Study
from experiments.common.tables import table

COLUMNS = (
    Metric("rate/kl_bits", "rate, bits"),
    Metric("reconstruction/mse", "MSE", "lower"),
    Metric("reconstruction/sharpness", "sharpness", "one"),
    Metric("latent/active_units", "active units"),
    Metric("samples/standard_normal/fd", "fd, z ~ N(0, I)", "lower"),
    Metric("samples/standard_normal/coverage", "coverage", "higher"),
)
MSE, FD = "reconstruction/mse", "samples/standard_normal/fd"


def tables(results: Results) -> dict[str, str]:
    """One row a β."""
    return {"beta": table(results, "β", COLUMNS, {f"{beta:g}": (label, "") for beta, label in _by_beta(results)})}


def _by_beta(results: Results) -> list[tuple[float, str]]:
    return sorted((float(results.of(label)[0].settings["model.beta"]), label) for label in results.labels)


def figures(results: Results, folder: Path) -> None:
    """Distortion and samples against rate."""
    draw(
        folder / "beta.png",
        Panel("rate, bits per image", "reconstruction MSE", [_vae(results, MSE), *_codes()], log_x=True),
        Panel(
            "rate, bits per image (at the points: β)",
            "fd of samples from N(0, I)",
            [_vae(results, FD)],
            log_x=True,
            log_y=True,
        ),
    )


def _vae(results: Results, name: str) -> Series:
    points = [
        Point(rate, height, f"{beta:g}")
        for beta, label in _by_beta(results)
        if (rate := results.get(label, "rate/kl_bits")) and (height := results.get(label, name))
    ]
    return Series("VAE, by β = 0.03 to 10: KL", points)


def _codes() -> list[Series]:
    """The VQ-VAEs of studies 1 and 4, where these are there, by the code length of their PixelCNN."""
    points = []
    for folder in (EXPERIMENTS / name for name in ("01_ae_vae_vqvae", "04_codebook")):
        if not has_results(folder):
            continue
        others = read_results(folder)
        for label in others.labels:
            rate, mse = others.get(label, "rate/pixelcnn_bits"), others.get(label, MSE)
            if rate and mse:
                points.append(Point(rate, mse, f"K = {others.of(label)[0].settings.get('model.num_codes', 256)}"))
    return [Series("VQ-VAE, by K: PixelCNN's code length", points, joined=False)]


STUDY = Study(sweeps=[["experiment=beta"]], tables=tables, figures=figures)
