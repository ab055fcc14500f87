"""Study 5: how many numbers a digit needs: PCA, AE, VAE."""

from pathlib import Path

from aevq.report.catalogue import Metric
from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import table

COLUMNS = (
    Metric("pca/mse", "PCA, MSE"),
    Metric("reconstruction/mse", "MSE", "lower"),
    Metric("reconstruction/sharpness", "sharpness", "one"),
    Metric("latent/active_units", "active units"),
    Metric("rate/kl_bits", "KL, bits"),
    Metric("samples/standard_normal/fd", "fd, z ~ N(0, I)", "lower"),
    Metric("samples/mixture/fd", "fd, a mixture of 10", "lower"),
    Metric("probe/latent/linear", "linear probe", "higher"),
    Metric("probe/latent/knn", "5-NN probe", "higher"),
)
MODELS = ("AE", "VAE")


def tables(results: Results) -> dict[str, str]:
    """One row a dimension."""
    return {
        model.lower(): table(results, "D", COLUMNS, {str(d): (label, "") for d, label in _by_dim(results, model)})
        for model in MODELS
    }


def _by_dim(results: Results, model: str) -> list[tuple[int, str]]:
    return sorted((int(results.of(label)[0].settings["model.latent_dim"]), label) for label in results.where(model))


def figures(results: Results, folder: Path) -> None:
    """Error, samples and active units against the dimension."""
    pca = Series("PCA", _points(results, "AE", "pca/mse"))
    errors = [_series(results, model, "reconstruction/mse", model) for model in MODELS]
    samples = [
        _series(results, "AE", "samples/standard_normal/fd", "AE, z ~ N(0, I)"),
        _series(results, "AE", "samples/mixture/fd", "mixture over the codes of an AE"),
        _series(results, "VAE", "samples/standard_normal/fd", "VAE, z ~ N(0, I)"),
    ]
    draw(
        folder / "latent_dim.png",
        Panel("latent dimension D", "reconstruction MSE", [pca, *errors], log_x=True, log_y=True),
        Panel("latent dimension D", "fd of samples", samples, log_x=True, log_y=True),
    )


def _series(results: Results, model: str, name: str, title: str) -> Series:
    return Series(title, _points(results, model, name))


def _points(results: Results, model: str, name: str) -> list[Point]:
    found = ((d, results.get(label, name)) for d, label in _by_dim(results, model))
    return [Point(float(d), height) for d, height in found if height]


STUDY = Study(
    sweeps=[
        ["experiment=latent_dim"],
        ["experiment=latent_dim", "model=ae", "model.latent_dim=256", "evaluation.probes=true"],
    ],
    tables=tables,
    figures=figures,
)
