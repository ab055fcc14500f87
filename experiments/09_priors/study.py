"""Study 9: which prior samples best from the latents of each model, after how long a training, and what helps it."""

from pathlib import Path

from aevq.priors.sampling import variant_name
from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import priors_table, sampled_priors

FD, SECONDS = "samples/<prior>/fd", "prior/<prior>/seconds"
SAMPLES = (FD, *(f"samples/<prior>/{name}" for name in ("coverage", "density", "precision", "recall", "nearest_train")))
COSTS = ("prior/<prior>/parameters", SECONDS, "samples/<prior>/milliseconds")
LEARNED = ("pixelcnn", "transformer", "masked")
TEMPERATURES = (0.8, 0.9, 1.0)
CLUSTERS = {0: "clusters_0", 10: "clusters_10", 50: "transformer", 200: "clusters_200"}  # the prior with so many


def tables(results: Results) -> dict[str, str]:
    """Return the tables of the priors of vectors, of those of codes, of temperatures, and of clusters."""
    codes = _groups(results)["VQ-VAE"]
    vectors = {
        f"{model}, {prior}": (label, prior)
        for model, label in _groups(results).items()
        for prior in sampled_priors(results, label)
        if model != "VQ-VAE"
    }
    temperatures = {f"{prior}, T = {t}": (codes, _at(prior, t)) for prior in LEARNED for t in reversed(TEMPERATURES)}
    return {
        "vectors": priors_table(results, "10,000 samples", (*SAMPLES, "prior/<prior>/nats", *COSTS), vectors),
        "codes": priors_table(
            results,
            "10,000 samples",
            (*SAMPLES, "rate/<prior>_bits", *COSTS),
            {prior: (codes, prior) for prior in sampled_priors(results, codes)},
        ),
        "temperatures": priors_table(results, "10,000 samples", SAMPLES, temperatures),
        "clusters": priors_table(
            results,
            "clusters",
            (*SAMPLES, "rate/<prior>_bits"),
            {str(k): (_clusters(results, k), prior) for k, prior in CLUSTERS.items()},
        ),
    }


def _groups(results: Results) -> dict[str, str]:
    """Return the group of each model that has every prior for it."""
    codes = next(label for label in results.where("VQVAE") if "masked" in sampled_priors(results, label))
    return {"AE": results.where("AE")[0], "VAE": results.where("VAE")[0], "VQ-VAE": codes}


def _clusters(results: Results, k: int) -> str:
    """Return the group whose transformer has k clusters."""
    return next(label for label in results.where("VQVAE") if CLUSTERS[k] in sampled_priors(results, label))


def _at(prior: str, temperature: float) -> str:
    return variant_name(prior, {"temperature": temperature} if temperature != 1 else {})


def plots(results: Results, folder: Path) -> None:
    """Draw the Fréchet distance against the seconds of fitting, the temperature and the number of clusters."""
    groups = _groups(results)

    def point(x: float | None, label: str, prior: str) -> Point:
        seconds, fd = (results.get(label, name.replace("<prior>", prior)) for name in (SECONDS, FD))
        assert seconds is not None, prior
        assert fd is not None, prior
        return Point(seconds, fd, prior) if x is None else Point(x, fd)

    def is_fitted(label: str, prior: str) -> bool:
        seconds = results.get(label, SECONDS.replace("<prior>", prior))
        return seconds is not None and seconds.mean > 0.1  # uniform and N(0, I) have nothing to fit

    fitted = {
        model: [point(None, label, prior) for prior in sampled_priors(results, label) if is_fitted(label, prior)]
        for model, label in groups.items()
    }
    by_temperature = {p: [point(t, groups["VQ-VAE"], _at(p, t)) for t in TEMPERATURES] for p in LEARNED}
    by_clusters = [point(float(k), _clusters(results, k), prior) for k, prior in CLUSTERS.items()]
    series = [Series(model, points, joined=False) for model, points in fitted.items()]
    draw(folder / "seconds.png", Panel("seconds of fitting", "FD of samples", series, log="xy"))
    draw(
        folder / "options.png",
        Panel("temperature T", "FD of samples", [Series(prior, points) for prior, points in by_temperature.items()]),
        Panel("clusters of whole grids, transformer", "FD of samples", [Series("VQ-VAE", by_clusters)]),
    )


SHOWN = {"AE": ("mixture100", "flow", "flow_matching", "kernel_density")}
STUDY = Study(
    sweeps=[["experiment=priors"], ["experiment=priors_of_codes"], ["experiment=clusters"]],
    evaluation=["probes=false", f"temperature=[{','.join(str(t) for t in TEMPERATURES if t != 1)}]"],
    tables=tables,
    plots=plots,
    images={f"ae_{p}.png": ("AE", f"strips/samples_{p}.png") for p in SHOWN["AE"]},
)
