"""Study 10: whether priors over codes that know the class draw the digit that they are asked for, and how well."""

from pathlib import Path

from aevq.priors.sampling import variant_name
from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import samples_table

PRIORS = ("pixelcnn", "transformer")
GUIDANCE = (0.0, 1.0, 2.0)
SAMPLES = ("label_accuracy", "fd", "class_fd", "coverage", "density", "precision", "recall", "nearest_train")
CLASSES = tuple(f"fd_of_{y}" for y in range(10))


def tables(results: Results) -> dict[str, str]:
    """Return the table of priors and guidance, and that of the Fréchet distance of each class."""
    models = {"VQ-VAE": results.labels[0]}
    guided = [_guided(prior, s) for prior in PRIORS for s in GUIDANCE]
    return {
        "samples": samples_table(results, "10,000 samples", SAMPLES, models, guided),
        "classes": samples_table(results, "1,000 samples each", CLASSES, models, PRIORS),
    }


def _guided(prior: str, guidance: float) -> str:
    return variant_name(prior, {"guidance": guidance} if guidance else {})


def plots(results: Results, folder: Path) -> None:
    """Draw the label accuracy and the Fréchet distance against the guidance."""

    def panel(title: str, metric: str) -> Panel:
        curves = {
            prior: [(s, results.get(results.labels[0], f"samples/{_guided(prior, s)}/{metric}")) for s in GUIDANCE]
            for prior in PRIORS
        }
        series = [Series(name, [Point(s, y) for s, y in curve if y]) for name, curve in curves.items()]
        return Panel("guidance s", title, series)

    draw(folder / "guidance.png", panel("label accuracy", "label_accuracy"), panel("FD of samples", "fd"))


STUDY = Study(
    sweeps=[["experiment=conditional"]],
    evaluation=["probes=false", f"guidance=[{','.join(f'{s:g}' for s in GUIDANCE if s)}]"],
    tables=tables,
    plots=plots,
    images={f"{prior}.png": ("VQVAE", f"strips/samples_{prior}.png") for prior in PRIORS},
)
