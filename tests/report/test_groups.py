import json

import numpy as np
import pytest
from omegaconf import OmegaConf

from aevq.config.command_line import compose
from aevq.errors import UserError
from aevq.report.groups import IGNORED_KEYS, check_comparable, group_runs, labels
from aevq.report.records import read_record
from helpers.run_folders import evaluate_by_hand, make_run

BOUND = {
    "samples/standard_normal/fd": 1.0,
    "likelihood/nll": 215.0,
    "likelihood/importance_samples": 1.0,
    "likelihood/prior_importance_samples": 100.0,
    "likelihood/images": 50.0,
}


def records(*folders):
    return [read_record(folder) for folder in folders]


def test_runs_that_differ_only_in_the_seed_are_one_group(tmp_path):
    runs = records(*(make_run(tmp_path / f"s{seed}", seed=seed, metrics={"m": seed**2}) for seed in (3, 1, 2)))
    (group,) = group_runs(runs)
    assert group.label == "VAE"
    assert [run.result.seed for run in group.runs] == [1, 2, 3]
    assert group.metrics["m"].mean == np.mean([1, 4, 9])
    assert group.metrics["m"].std == np.std([1, 4, 9], ddof=1)


def test_a_repeated_seed_counts_once_and_its_last_run_is_taken(tmp_path):
    old = make_run(tmp_path / "old", metrics={"m": 1.0})
    new = make_run(tmp_path / "new", metrics={"m": 3.0}, started="2026-01-02T00:00:00+00:00")
    (group,) = group_runs(records(new, old))
    assert (group.metrics["m"].mean, group.metrics["m"].n) == (3.0, 1)
    assert [run.path for run in group.repeats] == [old]


def test_a_metric_is_averaged_over_the_runs_that_have_it(tmp_path):
    runs = [make_run(tmp_path / "a", seed=1, metrics={"m": 1.0}), make_run(tmp_path / "b", seed=2, metrics={})]
    (group,) = group_runs(records(*runs))
    assert group.metrics["m"].n == 1
    assert "likelihood/nll" not in group.metrics


def test_logging_plots_and_folders_make_no_group(tmp_path):
    first = make_run(tmp_path / "a", seed=1, config=["tags=[x]", "data.root=/here", "plots.samples=8"])
    second = make_run(tmp_path / "b", seed=2, config=["notes=hello", "logger.csv=null", "data.download=false"])
    assert len(group_runs(records(first, second))) == 1


def test_the_keys_that_make_no_group_exist():
    config = compose("data=mnist")
    assert [key for key in sorted(IGNORED_KEYS) if OmegaConf.select(config, key, default=...) is ...] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "0" * 64}, "differ in data (SHA-256)"),
        ({"version": "2-abc"}, "differ in metrics_version: 1-abc (a), 2-abc (b)"),
        ({"config": ["data.binarize=dynamic"]}, "data.binarize: none (a), dynamic (b)"),
        ({"config": ["evaluation.samples=99"]}, "samples per prior: 20 (a), 99 (b)"),
        ({"config": ["evaluation.split=val"]}, "the split that was measured: test (a), val (b)"),
        (
            {"metrics": BOUND | {"likelihood/importance_samples": 500.0}},
            "importance samples of the NLL: 1 (a), 500 (b)",
        ),
        (
            {"metrics": BOUND | {"likelihood/prior_importance_samples": 500.0}},
            "importance samples of the NLL by fitted priors: 100 (a), 500 (b)",
        ),
        ({"metrics": BOUND | {"likelihood/images": 500.0}}, "images for the NLL: 50 (a), 500 (b)"),
    ],
)
def test_runs_that_were_measured_differently_are_refused_and_never_averaged(change, message, tmp_path):
    change = {"metrics": BOUND} | change
    runs = records(make_run(tmp_path / "a", metrics=BOUND), make_run(tmp_path / "b", seed=2, **change))
    with pytest.raises(UserError, match="allow-mixed") as error:
        check_comparable(runs, allow_mixed=False)
    assert message in str(error.value)
    assert message in check_comparable(runs, allow_mixed=True)[0]
    assert len(group_runs(runs)) == 2


def test_metrics_of_the_evaluation_replace_those_of_the_run(tmp_path):
    folder = make_run(tmp_path / "a", metrics={"m": 1.0, "own": 2.0, "samples/old/fd": 5.0})
    evaluate_by_hand(folder, {"m": 3.0, "new": 4.0})
    metrics = read_record(folder).metrics
    expected = {"m": 3.0, "own": 2.0, "new": 4.0, "samples/old/fd": 5.0}
    assert {name: metrics[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("changed", "lost"),
    [
        ({"samples": 50}, {"samples/old/fd", "real/fd"}),
        ({"mode_samples": 200}, {"samples/old/fd", "real/fd"}),
        ({"version": "9"}, {"own", "samples/old/fd", "real/fd"}),
        ({"split": "val"}, {"own", "samples/old/fd", "real/fd"}),
    ],
)
def test_metrics_that_were_measured_differently_from_the_evaluation_are_left_out(changed, lost, tmp_path):
    own = {"own": 2.0, "samples/old/fd": 5.0, "real/fd": 1.0}
    folder = make_run(tmp_path / "a", metrics=own)
    evaluate_by_hand(folder, {"m": 3.0}, **changed)
    assert own.keys() - read_record(folder).metrics.keys() == lost


def test_modes_that_were_counted_on_different_numbers_of_samples_are_not_compared(tmp_path):
    def run(name, seed, count):
        return make_run(tmp_path / name, seed=seed, metrics={"samples/a/modes": 9.0, "samples/a/mode_samples": count})

    one, other, alike = records(run("a", 1, 100.0), run("b", 2, 200.0), run("c", 3, 100.0))
    with pytest.raises(UserError, match=r"differ in samples for modes: 100 \(a\), 200 \(b\)"):
        check_comparable([one, other], allow_mixed=False)
    assert not check_comparable([one, alike], allow_mixed=False)
    (without,) = records(make_run(tmp_path / "d", seed=4, metrics={"reconstruction/mse": 1.0}))
    assert not check_comparable([one, without], allow_mixed=False)


@pytest.mark.parametrize("change", [None, {"metrics": None}, {"schema_version": 7}, {"metrics": {"m": "1"}}])
def test_a_damaged_evaluation_is_named(change, tmp_path):
    folder = make_run(tmp_path / "a")
    evaluate_by_hand(folder, {"m": 1.0})
    path = folder / "evaluation.json"
    path.write_text("{" if change is None else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"evaluation\.json"):
        read_record(folder)


@pytest.mark.parametrize(
    ("models", "configs", "expected"),
    [
        (["AE", "VAE"], [{"model.beta": 1}, {"model.latent_dim": 3}], ["AE", "VAE"]),
        (["VAE", "VAE"], [{"model.beta": 1.0}, {"model.beta": 4.0}], ["VAE beta=1", "VAE beta=4"]),
        (["AE", "VAE", "VAE"], [{}, {"model.beta": 1}, {"model.beta": 4}], ["AE", "VAE beta=1", "VAE beta=4"]),
        (
            ["VAE", "VAE"],
            [
                {"model.likelihood._target_": "aevq.nn.Gaussian", "model.likelihood.sigma": 0.3},
                {"model.likelihood._target_": "aevq.nn.Bernoulli"},
            ],
            ["VAE likelihood=Gaussian", "VAE likelihood=Bernoulli"],
        ),
        (
            ["VAE"] * 2,
            [{"model._target_": "aevq.models.VAE"}, {"model._target_": "mine.VAE"}],
            ["VAE model=aevq.models.VAE", "VAE model=mine.VAE"],
        ),
        (["AE", "AE"], [{"x": 1}, {"x": "1"}], ["AE x=1 (1)", "AE x=1 (2)"]),
        (["AE", "AE"], [{"hidden": [512, 256]}, {"hidden": None}], ["AE hidden=[512,256]", "AE hidden=null"]),
    ],
)
def test_the_shortest_names_that_tell_groups_apart(models, configs, expected):
    assert labels(models, configs) == expected


def test_a_grid_needs_both_keys_and_a_key_that_follows_is_left_out():
    grid = [{"model.num_codes": k, "model.code_dim": d, "note": k * 2} for k in (64, 128) for d in (4, 8)]
    found = labels(["VQVAE"] * 4, grid)
    assert len(set(found)) == 4
    assert all(len(name.split()) == 3 and "code_dim=" in name for name in found)


def test_keys_that_end_alike_keep_as_much_as_it_takes():
    configs = [{"a.lr": x, "b.lr": y} for x in (1, 2) for y in (1, 2)]
    assert labels(["AE"] * 4, configs)[0] == "AE a.lr=1 b.lr=1"


def test_priors_of_one_name_and_different_options_are_never_averaged(tmp_path):
    folders = [make_run(tmp_path / name, seed=seed) for seed, name in enumerate("abc", 1)]
    for seed, (folder, layers) in enumerate(zip(folders, (2, 2, 4), strict=True)):
        config = {"_target_": "aevq.priors.Flow", "layers": layers, "seed": seed}
        wide = {"target": "aevq.priors.Flow", "fit_to": "mean", "parameters": 5, "seconds": 1.5, "config": config}
        evaluate_by_hand(folder, {"samples/wide/fd": 1.0}, priors={"wide": wide})
    runs = records(*folders)
    assert check_comparable(runs[:2], allow_mixed=False) == []
    assert len(group_runs(runs[:2])) == 1
    with pytest.raises(UserError, match=r"differ in the options of prior\.wide: .* \(a, b\), .* \(c\)"):
        check_comparable(runs, allow_mixed=False)
    assert len(group_runs(runs)) == 2
