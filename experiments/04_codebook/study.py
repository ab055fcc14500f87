"""Study 4: how many codes, of how many dimensions, moved by what rule; where collapse begins, and what cures it."""

from pathlib import Path

from aevq.report.catalogue import Metric
from experiments.common.plots import Panel, Point, Series, draw
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import table

MSE, PERPLEXITY, USAGE = "reconstruction/mse", "codebook/perplexity", "codebook/usage"
CODEBOOK = (
    Metric(PERPLEXITY, "perplexity", "higher"),
    Metric(USAGE, "share of codes in use", "higher"),
    Metric(MSE, "MSE", "lower"),
    Metric("reconstruction/fd", "fd of reconstructions", "lower"),
)
RATE = (
    Metric(MSE, "MSE", "lower"),
    Metric("rate/grid_bits", "codes as they are, bits"),
    Metric("rate/pixelcnn_bits", "PixelCNN, bits", "lower"),
    Metric("samples/pixelcnn/fd", "fd of samples", "lower"),
)
SIZES, DIMS, COLLAPSING = (64, 256, 1024), (4, 16, 64), 512
ALONE = (8, 16, 32, 64, 256, 512, 1024)  # codes that nothing restarts
UPDATES = {"EMAUpdate": "moving averages", "GradientUpdate": "gradient"}


def tables(results: Results) -> dict[str, str]:
    """Sizes, where collapse begins, cures and rates."""
    sizes = {f"K = {k}, D = {d}": (_size(results, k, d), "") for k in SIZES for d in DIMS}
    alone = {f"K = {k}": (_alone(results, k), "") for k in ALONE}
    cures = {_cure(results, label): (label, "") for label in results.where(model__num_codes=COLLAPSING)}
    rates = {f"K = {results.of(label)[0].settings['model.num_codes']}": (label, "") for label in _with_prior(results)}
    return {
        "sizes": table(results, "", CODEBOOK, sizes),
        "onset": table(results, "D = 16, no restarts", CODEBOOK, alone),
        "cures": table(results, "K = 512, D = 16", CODEBOOK, dict(sorted(cures.items(), key=lambda item: item[0]))),
        "rates": table(results, "D = 16, two residual blocks in the decoder", RATE, rates),
    }


def _size(results: Results, num_codes: int, code_dim: int) -> str:
    return next(label for label in _by_defaults(results, num_codes, code_dim) if _restarts(results, label))


def _alone(results: Results, num_codes: int) -> str:
    return next(label for label in _by_defaults(results, num_codes, 16) if not _restarts(results, label))


def _by_defaults(results: Results, num_codes: int, code_dim: int) -> list[str]:
    """Codebooks moved by averages from the centres of a k-means, without a PixelCNN."""
    found = results.where(
        model__num_codes=num_codes,
        model__code_dim=code_dim,
        model__codebook_init="kmeans",
        model__codebook_update___target_="aevq.nn.EMAUpdate",
    )
    return [label for label in found if label not in _with_prior(results)]


def _restarts(results: Results, label: str) -> bool:
    return bool(results.of(label)[0].settings["model.restart.threshold"])


def _with_prior(results: Results) -> list[str]:
    return [label for label in results.labels if results.get(label, "rate/pixelcnn_bits")]


def _cure(results: Results, label: str) -> str:
    settings = results.of(label)[0].settings
    update = UPDATES[settings["model.codebook_update._target_"].rpartition(".")[2]]
    restarts = "restarts" if _restarts(results, label) else "no restarts"
    return f"{update}, {settings['model.codebook_init']}, {restarts}"


def figures(results: Results, folder: Path) -> None:
    """Perplexity and error against K."""
    series = {
        name: [
            *(Series(f"D = {d}", [_point(results, k, _size(results, k, d), name) for k in SIZES]) for d in DIMS),
            Series("D = 16, no restarts", [_point(results, k, _alone(results, k), name) for k in ALONE]),
        ]
        for name in (PERPLEXITY, MSE)
    }
    draw(
        folder / "codebook.png",
        Panel("codes K", "perplexity", series[PERPLEXITY], log_x=True, log_y=True),
        Panel("codes K", "reconstruction MSE", series[MSE], log_x=True),
    )


def _point(results: Results, num_codes: int, label: str, name: str) -> Point:
    height = results.get(label, name)
    assert height is not None, name
    return Point(float(num_codes), height)


STUDY = Study(
    sweeps=[[f"experiment={name}"] for name in ("codebook", "collapse", "rate", "collapse_onset")],
    tables=tables,
    figures=figures,
)
