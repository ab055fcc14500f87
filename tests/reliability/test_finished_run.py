"""A finished run stays as it is, byte by byte, whatever a later command does: refused, killed, or without space."""

import errno
import shutil
import signal

import pytest

from aevq.compare import main as compare_main
from aevq.evaluate import main as evaluate_main
from aevq.runs.run import Run
from aevq.sample import main as sample_main
from aevq.train import main as train_main
from helpers import killed_processes
from helpers.killed_processes import Trouble
from helpers.same_runs import file_hashes

PROMISE = "a finished result is never lost or altered by a later command that fails"
LONGER = "trainer.max_steps=6"
FEW = "priors=[standard_normal,fitted_normal]"
LITTLE = [FEW, "samples=20", "importance_samples=0", "memorisation=false", "probes=false"]


@pytest.fixture
def run(whole, tmp_path):
    """A finished and evaluated run, with an image that its owner has drawn."""
    folder = shutil.copytree(whole, tmp_path / "runs" / whole.name)
    (folder / "evaluation.json").write_text("{}")
    shutil.copy(folder / "images" / "samples_standard_normal.png", folder / "images" / "samples_mine.png")
    return folder


REFUSED = {
    "model.latent_dim=8": "is part of what was trained",
    "model.beta=2": "is part of what was trained",
    "model.optimizer.lr=1": "is part of what was trained",
    "model.optimizer.weight_decay=0.1": "is part of what was trained",
    "model.likelihood.sigma=1": "is part of what was trained",
    "model.commitment_cost=0.5": "has no key model.commitment_cost; ",
    "+model.commitment_cost=0.5": "is part of what was trained",
    "model=ae": "would make another run",
    "model/network=conv": "would make another run",
    "seed=5": "is part of what was trained",
    "prior_max_steps=3": "is part of what was trained",
    "data.batch_size=64": "is part of what was trained",
    "data.val_size=10": "is part of what was trained",
    "trainer.val_check_interval=3": "is part of what was trained",
    "trainer.devices=2": "is part of what was trained",
    "trainer.accumulate_grad_batches=2": "is part of what was trained",
    "trainer.max_step=9": "did you mean 'max_steps'?",
    "trainer.max_steps=2": "expected at least 4, the steps that ",
    "trainer.max_steps=8,9": "expected key=value with a single value, got 'trainer.max_steps=8,9'",
    "trainer.max_steps=many": "trainer.max_steps: ",
    "trainer.max_steps=[": "cannot be read as key=value",
    "~prior.standard_normal": "expected key=value",
    "prior.standard_normal.mean=3": "has no key prior.standard_normal.mean",
    "+prior.standard_normal.mean=3": "prior.standard_normal",
    "+prior.mixture._target_=os.system": "refused",
    "evaluation.samples=-1": "evaluation.samples",
    "plots.samples=0": "plots.samples",
    "data.root=[": "cannot be read as key=value",
    "trainer.accelerator=gpu": "no GPU",
}


@pytest.mark.fault(PROMISE)
@pytest.mark.parametrize("change", REFUSED)
def test_a_refused_change_is_one_line_and_writes_nothing(change, run, command, tmp_path):
    before = file_hashes(tmp_path)
    code, _, err = command(train_main, "resume=latest", LONGER, change)
    (line,) = err.strip().splitlines()
    assert code == 1
    assert line.startswith("error: ")
    assert REFUSED[change] in line
    assert file_hashes(tmp_path) == before


MOMENTS = {
    "before its first result has its name": Trouble("kill", "replace", "result.json", 2),
    "with half of its configuration written": Trouble("kill", "half", "config.yaml"),
    "before the first step": Trouble("kill", "step", "5"),
    "with half of a checkpoint written": Trouble("kill", "half", "last.ckpt"),
    "before the priors": Trouble("kill", "stage", "priors"),
    "before the plots": Trouble("kill", "stage", "plots"),
}


@pytest.mark.fault(PROMISE)
@pytest.mark.parametrize(
    "moment",
    [pytest.param(name, marks=pytest.mark.slow if i % 3 else ()) for i, name in enumerate(MOMENTS)],
)
def test_a_longer_training_that_is_killed_leaves_the_finished_run(moment, run, tmp_path):
    before = file_hashes(run)
    ended = killed_processes.train(tmp_path, f"resume={run}", LONGER, trouble=MOMENTS[moment])
    assert ended.code == -signal.SIGKILL, ended.err
    assert file_hashes(run) == before
    (copy,) = [path for path in run.parent.iterdir() if path.name not in (run.name, "latest")]
    assert killed_processes.train(tmp_path, f"resume={copy}", LONGER).code == 0
    assert Run(copy).result.train["steps"] == 6
    assert file_hashes(run) == before


@pytest.mark.fault(PROMISE)
@pytest.mark.parametrize("kilobytes", [900, 2500])
def test_a_full_disk_leaves_the_finished_run(kilobytes, run, small_disk):
    disk = small_disk(kilobytes + sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) // 1024)
    mine = shutil.copytree(run, disk / "runs" / run.name)
    before = file_hashes(mine)
    ended = killed_processes.train(disk, f"resume={mine}", LONGER)
    assert ended.code in (0, 1), ended.err
    assert file_hashes(mine) == before


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


FAILURES = {
    "interrupted": KeyboardInterrupt(),
    "disk full": OSError(errno.ENOSPC, "No space left on device", "a file"),
    "out of memory": MemoryError(),
    "bug": RuntimeError("a bug"),
}
PLACES = {
    "sample": (sample_main, ["n=4"], "aevq.sample.save_grid"),
    "sample, reading": (sample_main, ["n=4"], "aevq.runs.run.generate"),
    "evaluate, encoding": (evaluate_main, LITTLE, "aevq.evaluate.encode_splits"),
    "evaluate, fitting": (evaluate_main, LITTLE, "aevq.evaluate.fit_priors"),
    "evaluate, drawing": (evaluate_main, LITTLE, "aevq.evaluate.draw_samples"),
    "evaluate, measuring": (evaluate_main, LITTLE, "aevq.evaluate.run_protocol"),
    "evaluate, writing": (evaluate_main, LITTLE, "aevq.evaluate.write_json"),
    "compare, reading": (compare_main, ["runs"], "aevq.compare.compare_folders"),
    "compare, writing": (compare_main, ["runs"], "aevq.report.page.atomic_write"),
    "train, building": (train_main, ["resume=latest", LONGER], "aevq.training.parts.build_parts"),
    "train, copying": (train_main, ["resume=latest", LONGER], "aevq.training.recording.copy_run"),
    "train, starting": (train_main, ["resume=latest", LONGER], "aevq.training.recording.atomic_write"),
    "train, fitting": (train_main, ["resume=latest", LONGER], "aevq.training.fit.fit_model"),
    "train, drawing": (train_main, ["resume=latest", LONGER], "aevq.report.plots.draw_run"),
}


@pytest.mark.fault(PROMISE)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "failure", [pytest.param(name, marks=() if name == "disk full" else pytest.mark.slow) for name in FAILURES]
)
def test_a_command_that_fails_anywhere_leaves_the_finished_run(place, failure, run, command, monkeypatch):
    main, arguments, function = PLACES[place]
    if main is evaluate_main:
        (run / "evaluation.json").unlink()
    monkeypatch.setattr(function, failing(FAILURES[failure]))
    before = file_hashes(run)
    try:
        code, _, _ = command(main, *arguments)
    except (RuntimeError, MemoryError):
        code = 1
    left_out = place == "evaluate, drawing" and failure in ("out of memory", "bug")  # a plot never fails an evaluation
    assert (code == 0) == left_out
    after = file_hashes(run)
    assert {name: after.get(name) for name in before} == before
    assert all(
        name.startswith(("priors/", "images/samples_", "images/strips/samples_", "evaluation.json"))
        for name in after.keys() - before
    )


KILLS = {
    "sample": (["n=4"], "samples_standard_normal_n4_seed0.png"),
    "evaluate": (LITTLE, "evaluation.json"),
    "evaluate, fitting": (LITTLE, "fitted_normal.safetensors"),
    "evaluate, drawing": (LITTLE, "samples_fitted_normal.png"),
    "compare": (["runs"], "index.html"),
}


@pytest.mark.slow
@pytest.mark.fault(PROMISE)
@pytest.mark.parametrize("name", KILLS)
def test_a_command_that_is_killed_while_it_writes_leaves_what_was_there(name, run, tmp_path):
    """The second of two commands is killed, so that what it writes exists already; another one then succeeds."""
    command, (arguments, file) = name.partition(",")[0], KILLS[name]
    (run / "evaluation.json").unlink()
    if "," not in name:
        assert killed_processes.run(command, tmp_path, *arguments).code == 0
    before = file_hashes(tmp_path)
    ended = killed_processes.run(command, tmp_path, *arguments, trouble=Trouble("kill", "half", file))
    assert ended.code == -signal.SIGKILL, ended.err
    after = file_hashes(tmp_path)
    streams = {"out.txt", "err.txt"}
    assert {key: after.get(key) for key in before.keys() - streams} == {
        key: before[key] for key in before.keys() - streams
    }
    assert killed_processes.run(command, tmp_path, *arguments).code == 0


def test_samples_are_drawn_while_another_command_writes_into_the_run(run, command):
    with Run(run).claimed():
        code, _, err = command(sample_main, "n=4")
    assert code == 0, err
