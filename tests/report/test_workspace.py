"""The workspace beside what small runs of the three models really leave in W&B, read with W&B's own reader."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

import aevq
from aevq.report.workspace import specification, workspace
from aevq.train import main as train_main
from helpers.small_runs import QUICK, SMALL

GOLDEN = Path(__file__).parent / "golden" / "dashboard.json"
BINARY = ["model/likelihood=bernoulli", "data.binarize=threshold"]
VAE_LIKELIHOOD = ["evaluation.importance_samples=2", "evaluation.likelihood_images=5"]
VECTORS = [
    "prior=[standard_normal,fitted_normal,mixture,mixture100,kernel_density,flow,flow_matching]",
    *("prior.mixture100.num_components=3", "prior.mixture100.max_iter=5", "prior_max_steps=2"),
    *("prior.flow.layers=2", "prior.flow.hidden=[8]", "prior.flow_matching.width=8", "prior.kernel_density.max_fit=50"),
]
CODES = [
    "prior=[uniform,marginals,pixelcnn,transformer,masked]",
    *[override for override in SMALL["vqvae"] if override != "prior=pixelcnn"],
    *(f"prior.{name}.{size}" for name in ("transformer", "masked") for size in ("width=8", "layers=1", "max_steps=2")),
]
EVERY_PRIOR = {
    "ae": [*VECTORS, *SMALL["ae"], "evaluation.probes=true"],
    "vae": [*SMALL["vae"], *BINARY, *VAE_LIKELIHOOD],
    "vqvae": [*CODES, *BINARY],
}
SWEEP = {"vae": "2026-01-01_12-00-00", "vqvae": "2026-01-01_12-00-00"}  # the AE is run by itself
LIMITS = ["evaluation.samples=20", "plots.samples=8", "logger=many", "tags=[mine]"]


class OfflineRun:
    """A finished run and what it left for W&B."""

    def __init__(self, folder):
        self.run = aevq.load(str(folder))
        (self.folder,) = (folder / "wandb").glob("offline-run-*")
        (self.file,) = self.folder.glob("*.wandb")
        self.records = [json.loads(line) for line in self._inspect().splitlines()]
        self.seen = json.loads(self._inspect("--summary"))

    def _inspect(self, *options):
        command = [sys.executable, "-m", "wandb", "leet", "inspect", *options, "--json", str(self.file)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @property
    def first(self):
        return next(record["run"] for record in self.records if record["type"] == "run")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    found = {}
    for name, overrides in EVERY_PRIOR.items():
        folder = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("WANDB_MODE", "offline")
            patch.delenv("WANDB_RUN_GROUP", raising=False)
            if name in SWEEP:
                patch.setenv("WANDB_RUN_GROUP", SWEEP[name])
            patch.setattr(sys, "argv", ["aevq", f"model={name}", *QUICK, *overrides, *LIMITS])
            train_main()
        found[name] = OfflineRun((folder / "runs" / "latest").resolve())
    return found


def board():
    return workspace("", "aevq", "aevq")


def names_in(panel):
    """Every metric and every image that a panel shows."""
    if panel.__class__.__name__ == "WeavePanelSummaryTable":
        return {panel.table_name}
    keys = ("x", "y", "metrics", "media_keys")
    values = [getattr(panel, key) for key in keys if getattr(panel, key, None)]
    return {str(name) for value in values for name in (value if isinstance(value, list) else [value])}


def test_the_specification_is_the_golden_one():
    """After an intended change: python -m aevq.dashboard out=tests/report/golden/dashboard.json, then read the diff."""
    assert specification(board()) == GOLDEN.read_text(encoding="utf-8")


def test_every_name_in_the_workspace_is_one_that_a_run_logs(runs):
    logged = set().union(*(run.seen["summary"] for run in runs.values()))
    panels = [panel for section in board().sections for panel in section.panels]
    shown = set().union(*map(names_in, panels))
    assert shown - logged == {"comparison"}, "which the run of a sweep logs"
    assert len(shown) > 60


def test_panel_ids_differ():
    ids = [panel._id for section in board().sections for panel in section.panels]
    assert len(set(ids)) == len(ids)


def test_curves_are_drawn_over_the_steps_of_their_stage(runs):
    curves = [p for s in board().sections for p in s.panels if p.__class__.__name__ == "LinePlot"]
    records = [record for run in runs.values() for record in run.records]
    metrics = [record["metric"] for record in records if record["type"] == "metric"]
    axes = {m.get("name") or m["glob_name"]: m.get("step_metric") for m in metrics}
    assert axes["*"] == "trainer/global_step"
    assert all(curve.x == axes.get(curve.y[0], axes["*"]) for curve in curves)
    trained = ("pixelcnn", "transformer", "masked", "flow", "flow_matching")
    assert {curve.x for curve in curves} == {"trainer/global_step", *(f"prior/{name}/step" for name in trained)}


def test_steps_rise_and_a_validation_has_one_step(runs):
    rows = [record["history"]["item"] for record in runs["vqvae"].records if record["type"] == "history"]
    steps = [row["trainer/global_step"] for row in rows]
    assert steps == sorted(steps)
    for name in ("val/objective", "val/reconstructions._type"):
        assert [row["trainer/global_step"] for row in rows if name in row] == [1, 3]
    assert [row["prior/pixelcnn/step"] for row in rows if "prior/pixelcnn/val_nats" in row] == [1]


def test_the_panel_of_a_validation_shows_ten_different_digits(runs):
    run = runs["ae"]
    images, labels = run.run.data.images("val"), run.run.data.labels("val")
    first = images[[int((labels == digit).nonzero()[0]) for digit in range(10)]]
    for path in (run.folder / "files" / "media" / "images" / "val").glob("reconstructions_*.png"):
        with Image.open(path) as image:
            row = to_tensor(image)[0, 2:30]
        shown = torch.stack([row[:, 2 + 30 * i : 30 + 30 * i] for i in range(10)])
        assert (shown - first[:, 0]).abs().max() <= 1 / 255


def test_runs_are_grouped_by_sweep_and_by_setting(runs):
    groups = [(key.section, key.name) for key in board()._to_model().spec.section.run_sets[0].grouping]
    assert groups == [("run", "group"), ("config", "setting.value")]
    assert {name: run.first.get("run_group") for name, run in runs.items()} == {"ae": None} | SWEEP
    assert all(run.seen["config"]["setting"].startswith(f"{name}_mnist5k-") for name, run in runs.items())


def test_runs_are_tagged_and_have_a_job_type(runs):
    for name, run in runs.items():
        assert set(run.seen["tags"]) == {"mine", name, "mnist5k"}
        assert run.first["job_type"] == "train"
        assert run.first["project"] == "aevq"


def test_the_summary_holds_the_runs_metrics(runs):
    for run in runs.values():
        result, summary = run.run.result, run.seen["summary"]
        assert {name: summary[name] for name in result.metrics} == pytest.approx(result.metrics)
        assert summary["parameters"] == result.model["parameters"]
        assert summary["train/seconds"] == pytest.approx(result.train["seconds"])


def test_the_images_are_beside_the_run(runs):
    for run in runs.values():
        media = run.folder / "files" / "media" / "images"
        final = {path.name.rsplit("_", 2)[0] for path in (media / "final").glob("*.png")}
        assert final == {path.stem for path in run.run.images.glob("*.png")}
        assert len(list((media / "val").glob("reconstructions_*.png"))) == 2
    with_samples = [name for name, r in runs.items() if "val/samples_standard_normal" in r.seen["summary"]]
    assert with_samples == ["ae", "vae"]


def test_wandb_would_upload_each_run(runs):
    for run in runs.values():
        command = [sys.executable, "-m", "wandb", "sync", "--dry-run", str(run.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "Would sync 1 run(s)" in done.stdout + done.stderr
        assert run.file.name in done.stdout + done.stderr
