"""The studies: what their READMEs show is what their results say."""

import re
from importlib import import_module

import pytest

from aevq.errors import UserError
from aevq.metrics.catalogue import BEST_RATE
from experiments.common.readme import between, put
from experiments.common.results import Results, Row, collect_results, has_results, read_results, write_results
from experiments.common.runs import check_commands, commands_of, sweep_arguments
from experiments.common.study import EXPERIMENTS, Study, find_study, study_names
from experiments.common.tables import samples_table, table, uncompared
from experiments.study import main, run
from experiments.summaries import GPU_TARGETS, TARGETS, summaries
from helpers.run_folders import make_run
from helpers.small_runs import QUICK, SMALL

EXPERIMENT_CONFIGS = {path.stem for path in (EXPERIMENTS.parent / "conf" / "experiment").glob("*.yaml")}
WITH_RESULTS = [name for name in study_names() if has_results(EXPERIMENTS / name)]


MSE, MIXTURE = "reconstruction/mse", "samples/mixture/fd"
ROWS = [
    Row("AE", "AE", {"model.latent_dim": 8}, 1, "run1", {MSE: 0.1, MIXTURE: 5.0, "samples/uniform/fd": 9.0}),
    Row("AE", "AE", {"model.latent_dim": 8}, 2, "run2", {MSE: 0.3, MIXTURE: 7.0}),
    Row("VAE", "VAE", {"model.latent_dim": 4}, 1, "run3", {MSE: 0.25, "rate/kl_bits": 5.0, "rate/grid_bits": 9.0}),
]
TWO_SEEDS = Results(["a command"], [], "1-abc", ["c0ffee"], {}, ROWS)


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.rglob("*.py")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_module_can_be_imported_and_says_what_it_is(path):
    if path.stem == "peers":
        pytest.importorskip("pythae")
    name = ".".join(path.relative_to(EXPERIMENTS.parent).with_suffix("").parts).removesuffix(".__init__")
    assert import_module(name).__doc__


@pytest.mark.parametrize("name", WITH_RESULTS)
def test_a_readme_shows_results_of_three_seeds_of_every_group_and_of_one_test_set(name):
    results = read_results(EXPERIMENTS / name)
    for mark, text in find_study(name).tables(results).items():
        assert between(EXPERIMENTS / name / "README.md", mark) == text, f"make studies writes {name} again"
    assert all(len({row.seed for row in results.of(label)}) >= 3 for label in results.labels)
    assert len({data["fingerprint"]["test"] for data in results.data}) == 1
    assert results.data[0]["sizes"]["test"] == {"mnist": 10_000, "stacked_mnist": 26_000}[results.data[0]["name"]]


@pytest.mark.parametrize("name", WITH_RESULTS)
def test_a_readme_has_no_gap_and_its_images_are_there(name):
    text = (EXPERIMENTS / name / "README.md").read_text(encoding="utf-8")
    assert "not measured yet" not in text.lower()
    assert all(f"**{part}" in text for part in ("Question.", "Command", "Result.", "What it means."))
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (EXPERIMENTS / name / image).is_file(), image


def test_targets_and_front_page_are_up_to_date():
    assert {target.source for target in [*TARGETS, *GPU_TARGETS]} <= {*study_names(), *EXPERIMENT_CONFIGS}
    for readme, tables in summaries().items():
        assert tables == {mark: between(readme, mark) for mark in tables}


def test_every_sweep_of_a_study_names_an_experiment():
    sweeps = [override for name in study_names() for sweep in find_study(name).sweeps for override in sweep]
    named = (override.partition("=")[2] for override in sweeps if override.startswith("experiment="))
    names = {name for names in named for name in names.split(",")}
    assert names <= EXPERIMENT_CONFIGS


def test_results_survive_a_round_trip_and_damaged_ones_are_refused_in_one_line(tmp_path):
    path = write_results(TWO_SEEDS, tmp_path)
    assert read_results(tmp_path) == TWO_SEEDS
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UserError, match=r"results\.json: not readable results"):
        read_results(tmp_path)


def test_a_group_is_found_by_its_settings():
    assert TWO_SEEDS.where("AE") == TWO_SEEDS.where(model__latent_dim=8) == ["AE"]
    assert TWO_SEEDS.where("VAE", model__latent_dim=8) == []
    assert str(TWO_SEEDS.get("AE", MSE)) == "0.20 ± 0.14"
    with pytest.raises(UserError, match="no group 'GAN'; the groups are AE, VAE"):
        TWO_SEEDS.of("GAN")


def test_the_best_of_a_column_is_bold_and_what_is_not_measured_a_dash():
    text = table(TWO_SEEDS, "", [MSE, uncompared(MSE), BEST_RATE], {"ours": "AE", "theirs": "VAE"})
    assert text.splitlines() == [
        "|  | MSE ↓ | MSE | rate, bits per image ↓ |",
        "| --- | --- | --- | --- |",
        "| ours | **0.20 ± 0.14** | 0.20 ± 0.14 | – |",
        "| theirs | 0.25 | 0.25 | 5 |",
    ]


def test_samples_have_a_row_for_each_group_and_prior():
    text = samples_table(TWO_SEEDS, "model", ["fd", "kd"], {"ours": "AE", "theirs": "VAE"})
    assert text.splitlines()[2:] == ["| ours | uniform | 9 |", "| ours | mixture | **6.0 ± 1.4** |"]
    assert table(TWO_SEEDS, "", [MIXTURE], {"ours": "AE"}).startswith("|  | FD, mixture ↓ |")


def test_runs_become_results_and_an_unfinished_one_is_refused(tmp_path):
    metrics = {"reconstruction/mse": 1 / 3, "codes": 1_234_567.0}
    runs = [make_run(tmp_path / f"{seed}", seed=seed, metrics=metrics) for seed in (1, 2)]
    results = collect_results(runs, ["python -m aevq.train -m seed=1,2"])
    assert [row.seed for row in results.rows] == [1, 2]
    assert results.data[0]["name"] == "mnist5k"
    assert [row.metrics[name] for row in results.rows for name in metrics] == [0.333333, 1_234_567] * 2
    failed = make_run(tmp_path / "3", seed=3, status="failed", error="boom")
    with pytest.raises(UserError, match="1 jobs have not finished, for example 3"):
        collect_results([*runs, failed], [])


def test_text_is_put_between_its_marks_only(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- one -->\nold\n<!-- /one -->\nb\n")
    put(readme, "one", r"new \1")
    assert readme.read_text() == "a\n<!-- one -->\nnew \\1\n<!-- /one -->\nb\n"
    with pytest.raises(UserError, match="expected one place for 'two', found 0"):
        put(readme, "two", "x")


def test_commands_are_kept_without_overrides_that_change_no_metric():
    overrides = ["data.root=/somewhere", "hydra.launcher.n_jobs=1", "trainer.max_steps=20"]
    study = Study(sweeps=[["experiment=loss"]], evaluation=["probes=true"], tables=lambda results: {})
    assert commands_of(study, overrides) == [
        "python -m aevq.train -m experiment=loss trainer.max_steps=20",
        "python -m aevq.evaluate run=<run> probes=true",
    ]


def test_a_folder_resumes_the_runs_of_the_same_commands_only(tmp_path):
    train, evaluate = "python -m aevq.train -m experiment=loss", "python -m aevq.evaluate run=<run>"
    for _ in range(2):
        check_commands(tmp_path / "study", [train, evaluate])
    with pytest.raises(UserError, match=rf"holds the runs of '{train}'"):
        check_commands(tmp_path / "study", [f"{train} trainer.max_steps=9", evaluate])
    with pytest.raises(UserError, match=rf"holds the runs of '{evaluate}'"):
        check_commands(tmp_path / "study", [train, f"{evaluate} probes=false"])


def test_a_resumed_sweep_has_as_many_jobs_at_once(tmp_path):
    overrides = ["experiment=loss", "data.root=../data", "hydra.launcher.n_jobs=1"]
    assert sweep_arguments(overrides, tmp_path) == [*overrides, f"hydra.sweep.dir={tmp_path}"]
    (tmp_path / "sweep.json").touch()
    assert sweep_arguments(overrides, tmp_path) == [f"resume_sweep={tmp_path}", "hydra.launcher.n_jobs=1"]


@pytest.mark.parametrize(
    ("typed", "overrides"),
    [
        ([], ["data.fallback=error"]),
        (["data.root=../data"], ["data.root=../data", "data.fallback=error"]),
        (["data=mnist5k"], ["data=mnist5k"]),
    ],
)
def test_a_study_needs_the_full_data_unless_others_are_named(typed, overrides, command, monkeypatch):
    asked = []
    monkeypatch.setattr("experiments.study.run_study", lambda study, folder, given: asked.append(given) or [])
    code, _, err = command(main, "run", "02_loss", "--keep", *typed)
    assert asked == [overrides]
    assert (code, err) == (1, "error: compare: there is no run in the folders given\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "02_los"], "study: there is no '02_los'; did you mean '02_loss'?"),
        (["run"], "study: there is no ''; (valid: 01_ae_vae_vqvae"),
        (["run", "02_loss", "--kep"], "--kep: unknown flag; the only flag is --keep"),
        (["write", "09_none"], "study: there is no '09_none'; "),
    ],
)
def test_a_wrong_command_gets_one_line(arguments, message, command):
    code, out, err = command(main, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_study_trains_evaluates_prints_and_does_nothing_twice(tmp_path, monkeypatch, capsys):
    overrides = [*QUICK, *SMALL["ae"]]
    asked = ["samples=20", "probes=false", "memorisation=false", "priors=[standard_normal]"]
    columns = [MSE, "samples/standard_normal/fd"]
    study = Study(
        [["model=ae", "seed=1,2"]], lambda results: {"": table(results, "", columns, {"AE": "AE"})}, evaluation=asked
    )
    monkeypatch.setattr("experiments.study.find_study", lambda name: study)
    monkeypatch.chdir(tmp_path)
    run("small", overrides, keep=False)
    results = read_results(tmp_path / "runs" / "studies" / "small")
    assert [(row.model, row.seed) for row in results.rows] == [("AE", 1), ("AE", 2)]
    assert str(results.get("AE", "samples/standard_normal/fd")) in capsys.readouterr().out
    files = [path for name in ("result", "evaluation") for path in tmp_path.rglob(f"sweep0/*/{name}.json")]
    written = {path: path.stat().st_mtime_ns for path in files}
    assert len(written) == 4
    run("small", overrides, keep=False)
    assert {path: path.stat().st_mtime_ns for path in written} == written
