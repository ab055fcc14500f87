import json

import numpy as np
import pytest

from aevq.errors import UserError
from aevq.report.grouping import group_runs, mixture_of
from aevq.report.records import read_record
from helpers.run_folders import evaluate_by_hand, make_run


def records(*folders):
    return [read_record(folder) for folder in folders]


def test_runs_that_differ_in_the_seed_alone_are_one_group(tmp_path):
    runs = records(*(make_run(tmp_path / f"s{seed}", seed=seed, metrics={"m": seed**2}) for seed in (3, 1, 2)))
    (group,) = group_runs(runs)
    assert group.label == "VAE"
    assert [run.result.seed for run in group.runs] == [1, 2, 3]
    assert group.figures["m"].mean == np.mean([1, 4, 9])
    assert group.figures["m"].std == np.std([1, 4, 9], ddof=1)


def test_a_repeated_seed_counts_once_and_its_last_run_is_taken(tmp_path):
    old = make_run(tmp_path / "old", metrics={"m": 1.0})
    new = make_run(tmp_path / "new", metrics={"m": 3.0}, started="2026-01-02T00:00:00+00:00")
    (group,) = group_runs(records(new, old))
    assert (group.figures["m"].mean, group.figures["m"].n) == (3.0, 1)
    assert [run.path for run in group.repeats] == [old]


def test_a_figure_that_a_run_lacks_is_averaged_over_the_others_and_one_that_all_lack_is_absent(tmp_path):
    runs = [make_run(tmp_path / "a", seed=1, metrics={"m": 1.0}), make_run(tmp_path / "b", seed=2, metrics={})]
    (group,) = group_runs(records(*runs))
    assert group.figures["m"].n == 1
    assert "likelihood/nll" not in group.figures


def test_what_is_shown_or_where_it_lies_makes_no_group_of_its_own(tmp_path):
    first = make_run(tmp_path / "a", seed=1, config=["tags=[x]", "data.root=/here", "pictures.samples=8"])
    second = make_run(tmp_path / "b", seed=2, config=["notes=hello", "logger.csv=null"])
    assert len(group_runs(records(first, second))) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "0" * 64}, "differ in data (SHA-256)"),
        ({"version": "2-abc"}, "differ in metrics_version: 1-abc (a), 2-abc (b)"),
        ({"config": ["data.binarize=dynamic"]}, "data.binarize: none (a), dynamic (b)"),
        ({"config": ["evaluation.samples=99"]}, "samples a prior: 20 (a), 99 (b)"),
    ],
)
def test_what_was_measured_differently_is_refused_and_never_averaged(change, message, tmp_path):
    metrics = {"samples/standard_normal/fd": 1.0}
    runs = records(
        make_run(tmp_path / "a", metrics=metrics), make_run(tmp_path / "b", seed=2, metrics=metrics, **change)
    )
    with pytest.raises(UserError, match="allow-mixed") as error:
        mixture_of(runs, allow=False)
    assert message in str(error.value)
    assert message in mixture_of(runs, allow=True)[0]
    assert len(group_runs(runs)) == 2


def test_figures_of_the_evaluation_lie_over_those_of_the_run(tmp_path):
    folder = make_run(tmp_path / "a", metrics={"m": 1.0, "own": 2.0, "samples/old/fd": 5.0})
    evaluate_by_hand(folder, {"m": 3.0, "new": 4.0})
    figures = read_record(folder).figures
    assert {name: figures[name] for name in ("m", "own", "new")} == {"m": 3.0, "own": 2.0, "new": 4.0}
    assert figures["samples/old/fd"] == 5.0


def test_figures_that_were_measured_otherwise_than_the_evaluations_are_not_put_beside_them(tmp_path):
    folder = make_run(tmp_path / "a", metrics={"own": 2.0, "samples/old/fd": 5.0})
    evaluate_by_hand(folder, {"m": 3.0}, samples=50)
    assert "samples/old/fd" not in read_record(folder).figures
    assert "own" in read_record(folder).figures
    evaluate_by_hand(folder, {"m": 3.0}, version="9")
    assert "own" not in read_record(folder).figures


def test_modes_that_were_counted_on_different_numbers_of_samples_are_not_compared(tmp_path):
    def run(name, seed, count):
        return make_run(tmp_path / name, seed=seed, metrics={"samples/a/modes": 9.0, "samples/a/mode_samples": count})

    one, other, alike = records(run("a", 1, 100.0), run("b", 2, 200.0), run("c", 3, 100.0))
    with pytest.raises(UserError, match=r"differ in samples for modes: 100 \(a\), 200 \(b\)"):
        mixture_of([one, other], allow=False)
    assert not mixture_of([one, alike], allow=False)
    (without,) = records(make_run(tmp_path / "d", seed=4, metrics={"reconstruction/mse": 1.0}))
    assert not mixture_of([one, without], allow=False)


def test_modes_of_the_run_do_not_stand_beside_an_evaluations_of_more_samples(tmp_path):
    own = {"samples/old/modes": 5.0}
    folder = make_run(tmp_path / "a", metrics=own, config=["evaluation.mode_samples=100"])
    path = folder / "evaluation.json"
    evaluate_by_hand(folder, {"samples/new/modes": 9.0})
    content = json.loads(path.read_text())
    for count, kept in ((100, True), (200, False)):
        path.write_text(json.dumps(content | {"settings": {"samples": 20, "mode_samples": count}}))
        assert ("samples/old/modes" in read_record(folder).figures) == kept


def test_a_run_that_does_not_yet_state_what_its_data_are_belongs_to_the_group_of_those_that_do(tmp_path):
    stated = ["data.image_shape=[1,28,28]", "data.num_classes=10"]
    runs = records(make_run(tmp_path / "old", seed=1), make_run(tmp_path / "new", seed=2, config=stated))
    assert len(group_runs(runs)) == 1


@pytest.mark.parametrize("content", ["{", "[]", '{"metrics": {}}', '{"schema_version": 7}'])
def test_a_torn_evaluation_is_named(content, tmp_path):
    folder = make_run(tmp_path / "a")
    (folder / "evaluation.json").write_text(content)
    with pytest.raises(UserError, match=r"evaluation\.json"):
        read_record(folder)
