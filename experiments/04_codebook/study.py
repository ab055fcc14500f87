"""Study 4: how many codes, of how many dimensions, with which update; where collapse starts, and what prevents it."""

from pathlib import Path

from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import table

MSE, PERPLEXITY = "reconstruction/mse", "codebook/perplexity"
CODEBOOK = (PERPLEXITY, "codebook/usage", MSE, "reconstruction/fd")
RATE = (MSE, "rate/grid_bits", "rate/pixelcnn_bits", "samples/pixelcnn/fd")
SIZES, DIMS, COLLAPSING = (64, 256, 1024), (4, 16, 64), 512
WITHOUT_RESTARTS = (8, 16, 32, 64, 256, 512, 1024)
UPDATES = {"EMAUpdate": "moving averages", "GradientUpdate": "gradient"}


def tables(results: Results) -> dict[str, str]:
    """Return the tables of sizes, of where collapse starts, of what prevents it, and of rates."""
    sizes = {f"K = {k}, D = {d}": _label(results, k, d) for k in SIZES for d in DIMS}
    onset = {f"K = {k}": _label(results, k, restarts=False) for k in WITHOUT_RESTARTS}
    cures = {_cure(results, label): label for label in results.where(model__num_codes=COLLAPSING)}
    rates = {f"K = {results.settings(label)['model.num_codes']}": label for label in _with_prior(results)}
    return {
        "sizes": table(results, "", CODEBOOK, sizes),
        "onset": table(results, "D = 16, no restarts", CODEBOOK, onset),
        "cures": table(results, "K = 512, D = 16", CODEBOOK, dict(sorted(cures.items()))),
        "rates": table(results, "D = 16, two residual blocks in the decoder", RATE, rates),
    }


def _label(results: Results, num_codes: int, code_dim: int = 16, restarts: bool = True) -> str:
    """Return the group with moving averages, a k-means start and no PixelCNN."""
    found = results.where(
        model__num_codes=num_codes,
        model__code_dim=code_dim,
        model__codebook_init="kmeans",
        model__codebook_update___target_="aevq.nn.EMAUpdate",
    )
    with_prior = _with_prior(results)
    return next(label for label in found if label not in with_prior and _restarts(results, label) == restarts)


def _restarts(results: Results, label: str) -> bool:
    return bool(results.settings(label)["model.restart.threshold"])


def _with_prior(results: Results) -> list[str]:
    return [label for label in results.labels if results.get(label, "rate/pixelcnn_bits")]


def _cure(results: Results, label: str) -> str:
    settings = results.settings(label)
    update = UPDATES[settings["model.codebook_update._target_"].rpartition(".")[2]]
    restarts = "restarts" if _restarts(results, label) else "no restarts"
    return f"{update}, {settings['model.codebook_init']}, {restarts}"


def plots(results: Results, folder: Path) -> None:
    """Draw perplexity and error against K."""
    groups = {f"D = {d}": {k: _label(results, k, d) for k in SIZES} for d in DIMS}
    groups["D = 16, no restarts"] = {k: _label(results, k, restarts=False) for k in WITHOUT_RESTARTS}

    def series(name: str) -> list[Series]:
        return [
            Series(title, [Point(float(k), y) for k, label in each.items() if (y := results.get(label, name))])
            for title, each in groups.items()
        ]

    draw(
        folder / "codebook.png",
        Panel("codes K", "perplexity", series(PERPLEXITY), log="xy"),
        Panel("codes K", "reconstruction MSE", series(MSE), log="x"),
    )


STUDY = Study(
    sweeps=[[f"experiment={name}"] for name in ("codebook", "collapse", "rate", "collapse_onset")],
    tables=tables,
    plots=plots,
)
