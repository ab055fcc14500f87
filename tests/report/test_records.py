import json

import pytest

from aevq.errors import UserError
from aevq.report.records import collect, comparison_rows, joined, read_record
from aevq.runs.result import read_result, write_result
from helpers.run_folders import evaluate_by_hand, make_run, sweep_of


def rows(folder, metrics, **values):
    return comparison_rows(read_record(make_run(folder / "run", metrics=metrics, **values)))


def test_a_row_for_each_sampled_prior_with_its_own_figures(tmp_path):
    metrics = {
        "reconstruction/mse": 0.1,
        "samples/standard_normal/fd": 5.0,
        "samples/mixture/fd": 4.0,
        "samples/mixture@temperature=0.9/fd": 3.0,
    }
    first, second = rows(tmp_path, metrics, seed=3)
    assert (first["prior"], first["samples/fd"]) == ("standard_normal", 5.0)
    assert (second["prior"], second["samples/fd"]) == ("mixture", 4.0)
    assert {row["reconstruction/mse"] for row in (first, second)} == {0.1}
    assert (first["run"], first["model"], first["data"], first["seed"]) == ("run", "VAE", "mnist5k", 3)
    assert (first["parameters"], first["seconds"]) == (1000, 5.0)


def test_what_a_run_lacks_is_none(tmp_path):
    (row,) = rows(tmp_path, {})
    known = {"run", "model", "data", "seed", "parameters", "seconds", "images_per_second"}
    assert {name for name, cell in row.items() if cell is not None} == known


@pytest.mark.parametrize(
    ("prior", "rate"), [("standard_normal", 30.0), ("mixture", None), ("uniform", 196.0), ("pixelcnn", 90.0)]
)
def test_the_rate_is_by_the_prior_of_the_row(prior, rate, tmp_path):
    """KL(q(z|x) ‖ N(0, I)) is the rate by N(0, I) and by no other prior."""
    metrics = {"rate/kl_bits": 30.0, "rate/uniform_bits": 196.0, "rate/pixelcnn_bits": 90.0, "rate/grid_bits": 196.0}
    (row,) = rows(tmp_path, metrics | {f"samples/{prior}/fd": 1.0})
    assert row["rate_bits"] == rate


def test_more_samples_than_the_split_has_images_count_as_so_many(tmp_path):
    """500 here: then an evaluation of 10,000 and a run that asked for 1,000 have measured the same."""
    metrics = {"samples/standard_normal/fd": 5.0}
    folder = make_run(tmp_path / "run", metrics=metrics, config=["evaluation.samples=1000"])
    assert read_record(folder).measurement.samples == 500
    evaluate_by_hand(folder, {"samples/mixture/fd": 4.0}, samples=10_000)
    record = read_record(folder)
    assert record.measurement.samples == 500
    assert record.metrics.items() >= metrics.items()


def test_only_finished_runs_have_metrics(tmp_path):
    for status in ("finished", "failed", "interrupted", "running"):
        make_run(tmp_path / status, status=status, error="boom" if status == "failed" else None)
    found = collect([tmp_path])
    assert [run.path.name for run in found.finished] == ["finished"]
    assert {(run.status, run.error) for run in found.unfinished} == {
        ("failed", "boom"),
        ("interrupted", None),
        ("running", None),
    }


def test_the_jobs_of_a_sweep_are_those_of_its_record(tmp_path):
    make_run(tmp_path / "0_a")
    make_run(tmp_path / "1_b", status="running")
    make_run(tmp_path / "2_c")
    make_run(tmp_path / "unlisted", seed=9)
    jobs = [("0_a", "finished", None), ("1_b", "failed", "killed by SIGKILL"), ("2_c", "failed", "exit code 1")]
    sweep_of(tmp_path, [*jobs, (None, "failed", "no such key")])
    found = collect([tmp_path])
    assert [run.path.name for run in found.finished] == ["0_a"]
    listed = [(job.name, job.status, job.error) for job in found.unfinished]
    assert listed == [
        ("1_b", "failed", "killed by SIGKILL"),
        ("2_c", "failed", "exit code 1"),
        ("seed=3", "failed", "no such key"),
    ]
    assert found.commands == ["python -m aevq.train -m seed=0,1"]


def test_a_run_that_is_found_twice_counts_once_and_ten_comes_after_two(tmp_path):
    for i in (10, 2):
        make_run(tmp_path / f"{i}_a", seed=i)
    (tmp_path / "latest").symlink_to("2_a")
    found = collect([tmp_path, tmp_path / "2_a"])
    assert [run.path.name for run in found.finished] == ["2_a", "10_a"]


@pytest.mark.parametrize("content", ["{", '{"jobs": 3}', '{"jobs": [{}]}', "[]"])
def test_a_damaged_sweep_is_named(content, tmp_path):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(UserError, match=r"sweep\.json"):
        collect([tmp_path])


def test_sizes_and_times_of_priors_are_metrics_of_a_record(tmp_path):
    folder = make_run(tmp_path / "a")
    result = read_result(folder / "result.json")
    own = {"target": "aevq.priors.Mixture", "fit_to": "mean", "parameters": 7, "seconds": 2.5}
    result.priors, result.costs = {"mixture": own}, {"samples/mixture/seconds": 0.5}
    write_result(result, folder / "result.json")
    evaluated = own | {"parameters": 9, "seconds": None, "config": {}}
    evaluate_by_hand(folder, {}, priors={"wide": evaluated}, costs={"samples/wide/seconds": 0.75})
    metrics = read_record(folder).metrics
    assert {name: value for name, value in metrics.items() if name.startswith(("prior/", "samples/"))} == {
        "prior/mixture/parameters": 7.0,
        "prior/mixture/seconds": 2.5,
        "samples/mixture/seconds": 0.5,
        "prior/wide/parameters": 9.0,
        "samples/wide/seconds": 0.75,
    }


def test_a_result_that_states_no_priors_is_still_read(tmp_path):
    folder = make_run(tmp_path / "a")
    content = json.loads((folder / "result.json").read_text())
    del content["priors"], content["costs"]
    (folder / "result.json").write_text(json.dumps(content))
    assert read_record(folder).result.priors == {}


BOUND = {"likelihood/nll": 90.0, "likelihood/importance_samples": 50.0, "likelihood/images": 20.0}
BY_PRIOR = {"likelihood/a_nll": 89.0, "likelihood/prior_importance_samples": 10.0, "likelihood/images": 20.0}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, {"likelihood/a_nll", "likelihood/nll", "samples/a/fd"}),
        ({"likelihood/images": 30.0}, {"samples/a/fd"}),
        ({"likelihood/prior_importance_samples": 30.0}, {"samples/a/fd"}),
    ],
)
def test_bounds_of_two_evaluations_stand_together_only_if_they_were_measured_alike(change, kept):
    before = BOUND | BY_PRIOR | {"samples/a/fd": 1.0}
    now = {"likelihood/b_nll": 88.0} | {name: BY_PRIOR[name] for name in list(BY_PRIOR)[1:]} | change
    metrics = joined(before, now)
    assert now.items() <= metrics.items()
    assert {name for name in metrics.keys() - now.keys() if not name.endswith("importance_samples")} == kept
