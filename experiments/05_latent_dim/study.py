"""Study 5: how many dimensions a digit needs: PCA, AE, VAE."""

from pathlib import Path

from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import table, uncompared

MSE, N01, MIXTURE = "reconstruction/mse", "samples/standard_normal/fd", "samples/mixture/fd"
COLUMNS = (
    uncompared("pca/mse"),
    *(MSE, "reconstruction/sharpness", "latent/active_units"),
    uncompared("rate/kl_bits"),
    *(N01, MIXTURE, "probe/latent/linear", "probe/latent/knn"),
)
MODELS = ("AE", "VAE")


def tables(results: Results) -> dict[str, str]:
    """Return a table for each model, with one row for each dimension."""
    rows = {model: {str(d): label for d, label in _by_dim(results, model)} for model in MODELS}
    return {model.lower(): table(results, "D", COLUMNS, rows[model]) for model in MODELS}


def _by_dim(results: Results, model: str) -> list[tuple[int, str]]:
    return sorted((int(results.settings(label)["model.latent_dim"]), label) for label in results.where(model))


def plots(results: Results, folder: Path) -> None:
    """Draw error and samples against the dimension."""
    errors = [_series(results, "PCA", "AE", "pca/mse"), *(_series(results, model, model, MSE) for model in MODELS)]
    samples = [
        _series(results, "AE, z ~ N(0, I)", "AE", N01),
        _series(results, "mixture over the codes of an AE", "AE", MIXTURE),
        _series(results, "VAE, z ~ N(0, I)", "VAE", N01),
    ]
    draw(
        folder / "latent_dim.png",
        Panel("latent dimension D", "reconstruction MSE", errors, log="xy"),
        Panel("latent dimension D", "FD of samples", samples, log="xy"),
    )


def _series(results: Results, title: str, model: str, name: str) -> Series:
    found = ((d, results.get(label, name)) for d, label in _by_dim(results, model))
    return Series(title, [Point(float(d), height) for d, height in found if height])


STUDY = Study(
    sweeps=[
        ["experiment=latent_dim"],
        ["experiment=latent_dim", "model=ae", "model.latent_dim=256", "evaluation.probes=true"],
    ],
    tables=tables,
    plots=plots,
)
