"""What happens before the first job of a sweep, and what a search maximises; no job is started."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from aevq.config.command_line import config_root
from aevq.runs.sweep_record import read_sweep
from aevq.sweeps.launch import direction_of
from aevq.train import main
from hydra_plugins.aevq_process_launcher.process_launcher import _yaml_sources


@pytest.fixture
def no_jobs(monkeypatch):
    """Every job of a sweep fails at once."""

    def fail(sweep, jobs, *_):
        for job in jobs:
            job.status, job.error = "failed", "no luck"
        sweep.save()

    monkeypatch.setattr("aevq.sweeps.launch.run_jobs", fail)


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.fault("two sweeps that start in the same second: each has a folder of its own")
def test_two_sweeps_of_one_second(no_jobs, command, tmp_path, observed):
    folder = tmp_path / "runs" / "sweep" / "now"
    command(main, "-m", "seed=1,2", f"hydra.sweep.dir={folder}")
    before = files(folder)
    code, _, err = command(main, "-m", "seed=3,4", f"hydra.sweep.dir={folder}")
    assert code == 1, err
    assert files(folder) == before
    assert [job.overrides for job in read_sweep(folder.with_name("now-2")).jobs] == [["seed=3"], ["seed=4"]]
    assert (tmp_path / "runs" / "latest_sweep").resolve() == folder.with_name("now-2")
    observed("now and now-2; the first is as it was")


@pytest.mark.fault("a search whose trials all fail: one line, and a report that says why each failed")
def test_a_search_without_a_result(no_jobs, command, tmp_path, observed):
    pytest.importorskip("optuna")
    code, _, err = command(main, "-m", "experiment=search", "hydra.sweeper.n_trials=3", "model.num_codes=64")
    assert code == 1
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert lines == ["error: No trials are completed yet."]
    assert "Traceback" not in err
    (folder,) = (tmp_path / "runs" / "sweep").iterdir()
    assert (folder / "report" / "index.html").read_text().count("no luck") >= 3
    observed(lines[0])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("objective=likelihood/nll", "objective: likelihood/nll needs a variational model"),
        ("objective=samples/uniform/fd", "objective: samples/uniform/fd needs evaluation.samples above 0"),
        ("objective=samples/uniform/fd evaluation.samples=10", "needs the prior 'uniform'; (there are none)"),
        ("objective=rate/pixelcnn_bits", "objective: rate/pixelcnn_bits needs the prior 'pixelcnn'"),
        ("objective=prior/pixelcnn/nats", "objective: prior/pixelcnn/nats needs the prior 'pixelcnn'"),
        ("objective=likelihood/mixture_nll", "objective: likelihood/mixture_nll needs a variational model"),
        ("objective=likelihood/mixture_elbo", "objective: likelihood/mixture_elbo needs a variational model"),
        (
            "objective=samples/uniform/label_accuracy evaluation.samples=10",
            "samples/uniform/label_accuracy needs evaluation.label_accuracy=true",
        ),
        ("objective=prior/uniform/seconds", "objective: no such metric at a run's end, got 'prior/uniform/seconds'"),
        ("objective=likelihood/uniform_nll_bound", "needs binary images: model/likelihood=bernoulli"),
        ("objective=codebook/perplexity", "add hydra.sweeper.direction=minimize"),
        ("objective=reconstruction/pnsr", "objective: no such metric at a run's end, got 'reconstruction/pnsr'"),
        ("model.num_cods=4", "model.num_cods: no such key"),
    ],
)
def test_a_search_that_cannot_succeed_is_refused_before_its_first_trial(line, message, command, tmp_path):
    pytest.importorskip("optuna")
    code, out, err = command(main, "-m", "experiment=search", *line.split())
    assert (code, out, len(err.splitlines())) == (1, "", 1), err
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("objective", "direction"),
    [
        ("reconstruction/psnr", "maximize"),
        ("reconstruction/mse", "minimize"),
        ("samples/pixelcnn/coverage", "maximize"),
        ("reconstruction/sharpness", "unknown"),
        ("codebook/perplexity", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_the_catalogue_says_what_a_search_does_with_a_metric(objective, direction):
    assert direction_of(objective) == direction
    pytest.importorskip("optuna")
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        config = compose("train", ["experiment=search", f"objective={objective}"], return_hydra_config=True)
    assert config.hydra.sweeper.direction == direction


def test_a_value_below_a_swept_group_reaches_the_jobs(no_jobs, command, tmp_path):
    """Flags may stand anywhere, and the default of the swept group need not have the key."""
    own = ["model.num_codes=16", "model/codebook_update=gradient", "model.schedule=null"]
    command(main, "model=vqvae,vqvae", "-m", *own, "seed=1,2")
    (folder,) = (tmp_path / "runs" / "sweep").iterdir()
    assert [job.overrides for job in read_sweep(folder).jobs] == [
        ["model=vqvae", *own, f"seed={seed}"] for _ in range(2) for seed in (1, 2)
    ]


def test_jobs_get_the_same_yaml_files():
    sources = [{"provider": "main", "path": "/conf"}, {"provider": "command-line", "path": "/mine"}]
    hydra = {
        "runtime": {"config_sources": sources},
        "overrides": {"hydra": ["hydra.mode=MULTIRUN", "hydra.searchpath=[pkg://a]"]},
        "job": {"config_name": "other"},
    }
    expected = ["--config-dir", "/mine", "--config-name", "other", "hydra.searchpath=[pkg://a]"]
    assert _yaml_sources(OmegaConf.create(hydra)) == expected
