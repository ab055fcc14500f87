"""Study 3: the distortion-rate curve of β, with the points of VQ-VAEs on the same axes."""

from pathlib import Path

from aevq.metrics.catalogue import BEST_RATE
from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results, has_results, read_results
from experiments.common.study import EXPERIMENTS, Study
from experiments.common.tables import get, table, uncompared

MSE, FD = "reconstruction/mse", "samples/standard_normal/fd"
USED = ("reconstruction/sharpness", "latent/active_units")
COLUMNS = (uncompared("rate/kl_bits"), MSE, *USED, FD, "samples/standard_normal/coverage")


def tables(results: Results) -> dict[str, str]:
    """Return the table with one row for each β."""
    return {"beta": table(results, "β", COLUMNS, {f"{beta:g}": label for beta, label in _by_beta(results)})}


def _by_beta(results: Results) -> list[tuple[float, str]]:
    return sorted((float(results.settings(label)["model.beta"]), label) for label in results.labels)


def plots(results: Results, folder: Path) -> None:
    """Draw distortion and samples against rate."""
    rate = "rate, bits per image"
    draw(
        folder / "beta.png",
        Panel(rate, "reconstruction MSE", [_vae(results, MSE), *_codes()], log="x"),
        Panel(f"{rate} (labels: β)", "FD of samples from N(0, I)", [_vae(results, FD)], log="xy"),
    )


def _vae(results: Results, name: str) -> Series:
    points = [
        Point(rate, height, f"{beta:g}")
        for beta, label in _by_beta(results)
        if (rate := results.get(label, "rate/kl_bits")) and (height := results.get(label, name))
    ]
    return Series("VAE, β = 0.03 to 10: KL", points)


def _codes() -> list[Series]:
    """Return the VQ-VAEs of studies 1 and 4, where these have results, by the code length under their learned prior."""
    folders = [EXPERIMENTS / name for name in ("01_ae_vae_vqvae", "04_codebook")]
    points = [
        Point(rate, mse, f"K = {results.settings(label).get('model.num_codes', 256)}")
        for results in map(read_results, filter(has_results, folders))
        for label in results.where("VQVAE")
        if (rate := get(results, label, BEST_RATE.name)) and (mse := results.get(label, MSE))
    ]
    return [Series("VQ-VAE, by K: code length of its prior", points, joined=False)]


STUDY = Study(sweeps=[["experiment=beta"]], tables=tables, plots=plots)
