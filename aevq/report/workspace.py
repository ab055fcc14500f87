"""The W&B workspace of a project, as code: which metrics and images stand side by side.

Metrics, titles, units and sections come from the catalogue, priors from the group `prior` of the configuration. Curves
are drawn over the steps of their stage. Runs are grouped by sweep and by setting, so that a point or a curve is the
mean over the seeds of a setting.
"""

import hashlib
import json
from pkgutil import resolve_name
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

from aevq.latents import CodeSpec, VectorSpec
from aevq.metrics.catalogue import SECTIONS, Metric, Section, entry, find, of_section
from aevq.priors import TrainedPrior
from aevq.priors.available import priors_for

Priors = dict[str, list[str]]  # names of priors, by the beginning of the names of metrics that are measured of them

STEP = "trainer/global_step"
OPEN = ("Reconstruction", "Samples", "Images")
# Charts of one metric against another: x and y, by section.
PAIRS: dict[Section, tuple[tuple[str, str], ...]] = {
    "Samples": (("reconstruction/fd", "samples/<prior>/fd"), ("samples/<prior>/precision", "samples/<prior>/recall")),
    "Likelihood and rate": (("rate/kl_bits", "reconstruction/mse"), ("rate/<prior>_bits", "reconstruction/mse")),
    "Cost": (("train/seconds", "reconstruction/mse"),),
}
OVER_TIME = ("val/reconstructions", "val/samples_standard_normal")
OTHER_IMAGES = ("interpolations", "latent_space", "codebook_usage", "code_maps")


def workspace(entity: str, project: str, name: str) -> ws.Workspace:
    """Return the workspace of a W&B project; `entity` is the user or team that owns it, empty if it is not known."""
    priors = _priors()
    panels: dict[str, list[Any]] = {
        section: [*_curves(section, priors), *_bars(section, priors), *_points(section, priors)] for section in SECTIONS
    }
    panels["Images"] = _images(priors["samples"])
    panels["Comparison"] = [wr.WeavePanelSummaryTable(table_name="comparison"), wr.RunComparer(diff_only="split")]
    for title, found in panels.items():
        for i, panel in enumerate(found):  # the same ids each time
            panel._id = hashlib.sha256(f"{title}/{i}".encode()).hexdigest()[:12]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[ws.Section(name=title, panels=p, is_open=title in OPEN) for title, p in panels.items() if p],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=20),
        runset_settings=ws.RunsetSettings(groupby=[expr.Metric("Group"), expr.Config("setting")]),
    )


def specification(board: ws.Workspace) -> str:
    """Return a workspace as JSON text; equal workspaces give equal texts."""
    view = board._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(view, indent=2, ensure_ascii=False) + "\n"


def _priors() -> Priors:
    vectors, codes = priors_for(VectorSpec(1)), priors_for(CodeSpec(2, 1, 1))
    classes = {name: resolve_name(node["_target_"]) for name, node in (vectors | codes).items()}
    trained = {name: found for name, found in classes.items() if issubclass(found, TrainedPrior)}
    losses = {
        f"prior/<prior>/{split}_{unit}": [name for name, found in trained.items() if found.loss_name == unit]
        for split in ("train", "val")
        for unit in ("nats", "loss")
    }
    bits = {"prior/<prior>/val_bits": [name for name in trained if name in codes]}
    return {"samples": list(classes), "rate": list(codes), "likelihood": list(codes)} | losses | bits


def _filled(metric: Metric, priors: Priors) -> list[Metric]:
    """Return a metric for each prior that it is measured of."""
    names = priors.get(metric.name, priors.get(metric.name.partition("/")[0], [])) if metric.words else [""]
    return [found for prior in names if (found := metric.match(metric.name_for(prior=prior)))]


def _curves(section: Section, priors: Priors) -> list[wr.LinePlot]:
    metrics = [metric for metric in of_section(section, curve=True) if set(metric.words) <= {"prior"}]
    filled = [each for metric in metrics for each in _filled(metric, priors)]
    return [
        wr.LinePlot(title=each.label, x=_step(each.name), y=[each.name], groupby_rangefunc="minmax") for each in filled
    ]


def _step(name: str) -> str:
    """Return the step metric of a metric: each stage counts its own steps."""
    return f"{name.rpartition('/')[0]}/step" if name.startswith("prior/") else STEP


def _bars(section: Section, priors: Priors) -> list[wr.BarPlot]:
    """Return a panel for each metric; those with the same unit and direction share one."""
    together: dict[object, list[Metric]] = {}
    for metric in of_section(section, curve=False, headline=True):
        together.setdefault((metric.unit, metric.goal) if metric.unit else metric.name, []).append(metric)
    bars = []
    for metrics in together.values():
        titles = ", ".join(dict.fromkeys(metric.title.replace("<prior>", "each prior") for metric in metrics))
        unit = f", {metrics[0].unit}" if metrics[0].unit else ""
        names = [each.name for metric in metrics for each in _filled(metric, priors)]
        real = [f"real/{metric.short}" for metric in metrics if metric.name.startswith("samples/")]
        title = f"{titles}{unit} {metrics[0].arrow}".rstrip()
        bars.append(wr.BarPlot(title=title, metrics=[*names, *filter(find, real)]))
    return bars


def _points(section: Section, priors: Priors) -> list[wr.ScatterPlot]:
    plots = []
    for pair in PAIRS.get(section, ()):
        xs, ys = (_filled(entry(name), priors) for name in pair)
        for i in range(max(len(xs), len(ys))):
            x, y = xs[i % len(xs)], ys[i % len(ys)]  # one of the two may be the same for all priors
            prior = f", {y.name.split('/')[1]}" if y.name.startswith("samples/") else ""
            plots.append(wr.ScatterPlot(title=f"{y.title} against {x.title}{prior}", x=x.name, y=y.name))
    return plots


def _images(priors: list[str]) -> list[wr.MediaBrowser]:
    names = ("reconstructions", *(f"samples_{prior}" for prior in priors), *OTHER_IMAGES)
    final = [f"final/{name}" for name in names]
    return [
        *(wr.MediaBrowser(title=key, media_keys=[key], grid_x_axis="step", grid_y_axis="run") for key in OVER_TIME),
        *(wr.MediaBrowser(title=key, media_keys=[key], gallery_axis="run", num_columns=3) for key in final),
    ]
