"""Study 2: MSE, L1, cross-entropy."""

from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import samples_table, table

LIKELIHOODS = {"Gaussian": "MSE", "Laplace": "L1", "Bernoulli": "cross-entropy"}
RECONSTRUCTION = tuple(
    f"reconstruction/{name}" for name in ("mse", "l1", "cross_entropy", "psnr", "ssim", "sharpness", "fd")
)


def tables(results: Results) -> dict[str, str]:
    """Return the tables of reconstruction and samples, one row for each loss."""
    rows = {f"trained on {LIKELIHOODS[_likelihood(results, label)]}": label for label in results.labels}
    return {
        "reconstruction": table(results, "10,000 test images", RECONSTRUCTION, rows),
        "samples": samples_table(results, "10,000 samples", ("fd", "coverage"), rows, ["mixture"]),
    }


def _likelihood(results: Results, label: str) -> str:
    return str(results.settings(label)["model.likelihood._target_"]).rpartition(".")[2]


STUDY = Study(
    sweeps=[["experiment=loss"]],
    tables=tables,
    images={f"{name.lower()}.png": (f"AE likelihood={name}", "strips/reconstructions.png") for name in LIKELIHOODS},
)
