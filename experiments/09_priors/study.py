"""Study 9: which prior samples best from the latents of each model, after how long a training, and what helps it."""

from pathlib import Path

from aevq.priors.sampling import variant_name
from aevq.report.statistics import Estimate
from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import priors_by_distance, priors_table

FD, SECONDS = "samples/<prior>/fd", "prior/<prior>/seconds"
SAMPLES = (FD, *(f"samples/<prior>/{name}" for name in ("coverage", "density", "precision", "recall", "nearest_train")))
COSTS = ("prior/<prior>/parameters", SECONDS, "samples/<prior>/milliseconds")
MODELS = {"AE": "AE", "VAE": "VAE", "VQ-VAE": "VQVAE"}
CAUSAL = ("pixelcnn", "transformer")  # a sample of the masked prior takes ten times as long
TEMPERATURES = (0.8, 0.9, 1.0)
CLUSTERS = {0: "clusters_0", 10: "clusters_10", 50: "transformer", 200: "clusters_200"}  # the prior with so many


def tables(results: Results) -> dict[str, str]:
    """Return the tables of the priors for each model, of temperatures, and of clusters."""
    groups = _groups(results)
    codes = groups["VQ-VAE"]

    def every_prior(label: str, rate: str) -> str:
        rows = {prior: (label, prior) for prior in priors_by_distance(results, label)}
        return priors_table(results, "10,000 samples", (*SAMPLES, rate, *COSTS), rows)

    temperatures = {f"{prior}, T = {t}": (codes, _at(prior, t)) for prior in CAUSAL for t in reversed(TEMPERATURES)}
    return {
        "ae": every_prior(groups["AE"], "prior/<prior>/nats"),
        "vae": every_prior(groups["VAE"], "prior/<prior>/nats"),
        "codes": every_prior(codes, "rate/<prior>_bits"),
        "temperatures": priors_table(results, "10,000 samples", SAMPLES, temperatures),
        "clusters": priors_table(
            results,
            "clusters",
            (*SAMPLES, "rate/<prior>_bits"),
            {str(k): (codes, prior) for k, prior in CLUSTERS.items()},
        ),
    }


def _groups(results: Results) -> dict[str, str]:
    """Return the group of each model."""
    return {title: results.where(model)[0] for title, model in MODELS.items()}


def _at(prior: str, temperature: float) -> str:
    return variant_name(prior, {"temperature": temperature} if temperature != 1 else {})


def plots(results: Results, folder: Path) -> None:
    """Draw the Fréchet distance against the seconds of fitting, the temperature and the number of clusters."""
    groups = _groups(results)

    def metric(name: str, label: str, prior: str) -> Estimate:
        found = results.get(label, name.replace("<prior>", prior))
        assert found is not None, f"{label}: {name} of {prior}"
        return found

    def fitted(label: str) -> list[Point]:
        priors = {prior: metric(SECONDS, label, prior) for prior in priors_by_distance(results, label)}
        # uniform and N(0, I) have nothing to fit
        return [Point(seconds, metric(FD, label, p), p) for p, seconds in priors.items() if seconds.mean > 0.1]

    codes = groups["VQ-VAE"]
    by_temperature = {p: [Point(t, metric(FD, codes, _at(p, t))) for t in TEMPERATURES] for p in CAUSAL}
    by_clusters = [Point(float(k), metric(FD, codes, prior)) for k, prior in CLUSTERS.items()]
    series = [Series(model, fitted(label), joined=False) for model, label in groups.items()]
    draw(
        folder / "seconds.png",
        Panel("seconds of fitting", "FD of samples", series[:2], log="xy"),
        Panel("seconds of fitting", "FD of samples, VQ-VAE", series[2:]),
    )
    draw(
        folder / "options.png",
        Panel("temperature T", "FD of samples", [Series(prior, points) for prior, points in by_temperature.items()]),
        Panel("clusters of whole grids, transformer", "FD of samples", [Series("VQ-VAE", by_clusters)]),
    )


SHOWN = {"AE": ("mixture100", "flow", "flow_matching", "kernel_density")}
STUDY = Study(
    sweeps=[["experiment=priors"], ["experiment=priors_of_codes"]],
    evaluation=["probes=false", f"temperature=[{','.join(str(t) for t in TEMPERATURES if t != 1)}]"],
    tables=tables,
    plots=plots,
    images={f"ae_{p}.png": ("AE", f"strips/samples_{p}.png") for p in SHOWN["AE"]},
)
