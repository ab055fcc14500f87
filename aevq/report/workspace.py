"""The W&B workspace of a project of runs, as code: which figures and pictures stand side by side.

Curves are drawn over `trainer/global_step`. Runs stand in groups, sweep by sweep and setting by setting, so that a
point or a curve is the mean over the seeds of a setting.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["specification", "workspace"]

STEP = "trainer/global_step"
CODE_PRIORS = ("uniform", "marginals", "pixelcnn")
PRIORS = ("standard_normal", "fitted_normal", "mixture", *CODE_PRIORS)
RUN_PRIORS = ("standard_normal", "mixture", "pixelcnn")  # those that the three models bring along
OTHER_PICTURES = ("interpolations", "latent_space", "codebook_usage", "code_maps")


def workspace(entity: str, project: str, name: str) -> ws.Workspace:
    """The workspace.

    Args:
        entity: User or team that the project is of; empty where that is not known.
        project: W&B project.
        name: What the workspace is called.
    """
    sections = [
        _section("Reconstruction", _reconstruction(), is_open=True),
        _section("Sampling", _sampling(), is_open=True),
        _section("Codebook", _codebook()),
        _section("Likelihood and rate", _likelihood()),
        _section("Training", _training()),
        _section("Cost", _cost()),
        _section("Pictures", _pictures(), is_open=True),
        _section("Comparison", [wr.WeavePanelSummaryTable(table_name="comparison"), wr.RunComparer(diff_only="split")]),
    ]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=20),
        runset_settings=ws.RunsetSettings(groupby=[expr.Metric("Group"), expr.Config("setting")]),
    )


def specification(board: ws.Workspace) -> str:
    """A workspace as JSON text: the same one gives the same text."""
    view = board._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(view, indent=2, ensure_ascii=False) + "\n"


def _section(name: str, panels: list[Any], *, is_open: bool = False) -> ws.Section:
    """A section, whose panels get ids that are the same each time."""
    for number, panel in enumerate(panels):
        panel._id = hashlib.sha256(f"{name}/{number}".encode()).hexdigest()[:12]
    return ws.Section(name=name, panels=panels, is_open=is_open)


def _reconstruction() -> list[Any]:
    figures = ("mse", "fd", "sharpness", "ssim", "psnr")
    return [_curves("MSE while training", "val/mse"), *(_bars(f"{f}, test", [f"reconstruction/{f}"]) for f in figures)]


def _sampling() -> list[Any]:
    lower, higher = ("fd", "kd"), ("precision", "recall", "density", "coverage")
    return [
        *(_bars(f"{f}: lower is better", [*_of_each_prior(f), f"floor/{f}"]) for f in lower),
        *(_bars(f"{f}: higher is better", _of_each_prior(f)) for f in higher),
        *(_points(f"Reconstruction against {p}", "reconstruction/fd", f"samples/{p}/fd") for p in RUN_PRIORS),
        *(
            _points(f"Recall against precision, {p}", f"samples/{p}/precision", f"samples/{p}/recall")
            for p in RUN_PRIORS
        ),
    ]


def _codebook() -> list[Any]:
    return [
        _curves("Perplexity while training", "val/codebook_perplexity"),
        _curves("Usage while training", "val/codebook_usage"),
        _bars("Perplexity, test", ["codebook/perplexity"]),
        _bars("Usage, test", ["codebook/usage"]),
    ]


def _likelihood() -> list[Any]:
    code_lengths = [f"rate/{prior}_bits" for prior in CODE_PRIORS]
    bounds = [f"likelihood/{prior}_nll_bound" for prior in CODE_PRIORS]
    return [
        _points("Distortion against rate, VAE", "rate/kl_bits", "reconstruction/mse"),
        _points("Distortion against rate, VQ-VAE", "rate/pixelcnn_bits", "reconstruction/mse"),
        _bars("Rate, bits per image", ["rate/kl_bits", "rate/grid_bits", *code_lengths]),
        _bars("Bounds of −log p(x), nats, binary images", ["likelihood/nll", *bounds]),
        _bars("ELBO, nats, binary images", ["likelihood/elbo"]),
        _bars("Active units", ["latent/active_units"]),
        _curves("PixelCNN, bits per grid", "prior/pixelcnn/val_bits"),
    ]


def _training() -> list[Any]:
    return [
        _curves("Objective, nats", "train/objective"),
        _curves("Objective, validation, nats", "val/objective"),
        _curves("Distortion, nats", "train/distortion"),
        _curves("KL, nats", "train/kl"),
        _curves("Commitment, nats", "train/commitment"),
        _curves("PixelCNN, nats per grid", "prior/pixelcnn/train_nats"),
    ]


def _cost() -> list[Any]:
    return [
        _curves("Images per second", "train/images_per_second"),
        _bars("Images per second, mean", ["cost/images_per_second"]),
        _bars("Seconds of training", ["cost/seconds"]),
        _bars("Parameters", ["cost/parameters"]),
        _points("MSE against seconds", "cost/seconds", "reconstruction/mse"),
    ]


def _pictures() -> list[Any]:
    over_time = ("val/reconstructions", "val/samples_standard_normal")
    final = ("reconstructions", *(f"samples_{prior}" for prior in PRIORS), *OTHER_PICTURES)
    return [
        *(wr.MediaBrowser(title=key, media_keys=[key], grid_x_axis="step", grid_y_axis="run") for key in over_time),
        *(_gallery(f"final/{name}") for name in final),
    ]


def _gallery(key: str) -> wr.MediaBrowser:
    return wr.MediaBrowser(title=key, media_keys=[key], gallery_axis="run", num_columns=3)


def _of_each_prior(figure: str) -> list[str]:
    return [f"samples/{prior}/{figure}" for prior in PRIORS]


def _curves(title: str, name: str) -> wr.LinePlot:
    return wr.LinePlot(title=title, x=STEP, y=[name], groupby_rangefunc="minmax")


def _bars(title: str, names: Iterable[str]) -> wr.BarPlot:
    return wr.BarPlot(title=title, metrics=list(names))


def _points(title: str, x: str, y: str) -> wr.ScatterPlot:
    return wr.ScatterPlot(title=title, x=x, y=y)
