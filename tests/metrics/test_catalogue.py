"""The catalogue beside what small runs really log and record."""

from __future__ import annotations

import csv
import json

import pytest

import aevq
from aevq.metrics.catalogue import METRICS, SECTIONS, entry, find
from aevq.train import main
from helpers.small_runs import QUICK, SMALL

EVERYTHING = ["evaluation.samples=20", "evaluation.memorisation=true", "data.leave_out=3"]
BINARY = ["model/likelihood=bernoulli", "data.binarize=threshold"]
RUNS = {
    "ae": ["evaluation.probes=true"],
    "vae": [*BINARY, "evaluation.importance_samples=2", "evaluation.likelihood_images=5"],
    "vqvae": [*BINARY, "prior=[uniform,marginals,pixelcnn]"],
}


@pytest.mark.parametrize("model", RUNS)
def test_every_metric_of_a_run_has_an_entry(model, command):
    code, _, err = command(main, f"model={model}", *QUICK, *SMALL[model], *EVERYTHING, *RUNS[model])
    assert code == 0, err
    run = aevq.load("latest")
    content = json.loads((run.path / "result.json").read_text())
    recorded = [*content["metrics"], *(f"{part}/{name}" for part in ("train", "seconds") for name in content[part])]
    with (run.path / "metrics.csv").open(newline="") as file:
        logged = {row["name"] for row in csv.DictReader(file)}
    assert len(recorded) > 30
    assert len(logged) >= 6
    found = {name: find(name) for name in [*recorded, *logged]}
    assert [name for name, metric in found.items() if metric is None] == []
    # A loss term of a model of ours has an entry of its own.
    assert [name for name, metric in found.items() if "a loss term of the model" in metric.about] == []
    assert all(found[name].curve for name in logged)


def test_every_name_has_one_entry_and_every_entry_a_section():
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert {metric.section for metric in METRICS} <= set(SECTIONS)


def test_an_exact_name_comes_before_a_pattern():
    assert find("rate/kl_bits") == entry("rate/kl_bits")
    assert find("train/seconds").unit == "s"
    assert find("train/surprise").unit == "nats per image"
    assert find("samples/a/b/fd") is None
    assert find("nothing/like/it") is None


def test_words_are_filled_in():
    metric = find("likelihood/pixelcnn_nll_bound")
    assert (metric.name, metric.title) == ("likelihood/pixelcnn_nll_bound", "NLL bound by pixelcnn")
    assert entry("likelihood/<prior>_nll_bound").name_for(prior="pixelcnn") == metric.name
