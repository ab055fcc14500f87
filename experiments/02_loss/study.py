"""Study 2: MSE, L1, cross entropy."""

from aevq.report.catalogue import Metric
from experiments.common.results import Results
from experiments.common.study import Picture, Study
from experiments.common.tables import table

LIKELIHOODS = {"Gaussian": "MSE", "Laplace": "L1", "Bernoulli": "cross entropy"}
RECONSTRUCTION = (
    Metric("reconstruction/mse", "MSE", "lower"),
    Metric("reconstruction/l1", "L1", "lower"),
    Metric("reconstruction/cross_entropy", "cross entropy, nats", "lower"),
    Metric("reconstruction/psnr", "PSNR, dB", "higher"),
    Metric("reconstruction/ssim", "SSIM", "higher"),
    Metric("reconstruction/sharpness", "sharpness", "one"),
    Metric("reconstruction/fd", "fd", "lower"),
)
SAMPLES = (
    Metric("fd", "fd, a mixture of 10", "lower"),
    Metric("coverage", "coverage", "higher"),
)


def tables(results: Results) -> dict[str, str]:
    """What each loss is good at."""
    rows = {f"trained on {LIKELIHOODS[_class(results, label)]}": (label, "") for label in results.labels}
    sampled = {title: (label, "samples/mixture/") for title, (label, _) in rows.items()}
    return {
        "reconstruction": table(results, "10,000 test images", RECONSTRUCTION, rows),
        "samples": table(results, "10,000 samples", SAMPLES, sampled),
    }


def _class(results: Results, label: str) -> str:
    return str(results.of(label)[0].settings["model.likelihood._target_"]).rpartition(".")[2]


STUDY = Study(
    sweeps=[["experiment=loss"]],
    tables=tables,
    pictures={
        f"{name.lower()}.png": Picture(f"AE likelihood={name}", "strips/reconstructions.png") for name in LIKELIHOODS
    },
)
