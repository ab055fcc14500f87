"""SIGKILL at every stage of a run, also in the middle of a save: nothing is lost but the steps since the last one."""

from __future__ import annotations

import shutil
import signal

import pytest
from helpers.broken_runs import VAE, the_run
from helpers.dying import Trouble

from aevq.errors import UserError
from aevq.runs.result import read_result
from aevq.runs.run import Run, read_checkpoint
from helpers import dying
from helpers.small_runs import QUICK, SMALL

STAGES = {
    "while its folder is new": Trouble("kill", "replace", "result.json"),
    "before its configuration is whole": Trouble("kill", "half", "config.yaml"),
    "before the first step": Trouble("kill", "step", "1"),
    "between two checkpoints": Trouble("kill", "step", "4"),
    "with half of the first checkpoint written": Trouble("kill", "half", "last.ckpt", 1),
    "with half of the second checkpoint written": Trouble("kill", "half", "last.ckpt", 2),
    "with the second checkpoint not yet on the disk": Trouble("kill", "fsync", "last.ckpt", 2),
    "before the second checkpoint has its name": Trouble("kill", "replace", "last.ckpt", 2),
    "after the second checkpoint has its name": Trouble("kill", "replaced", "last.ckpt", 2),
    "with half of the best checkpoint written": Trouble("kill", "half", "best.ckpt", 1),
    "before the priors": Trouble("kill", "fit_priors", "aevq.training.job"),
    "with half of a prior written": Trouble("kill", "half", "standard_normal.safetensors"),
    "before the scores": Trouble("kill", "run_protocol", "aevq.training.job"),
    "before the pictures": Trouble("kill", "draw_run", "aevq.training.job"),
    "before its last result has its name": Trouble("kill", "replace", "result.json", 6),
}
QUICK_ONES = ("between two checkpoints", "with half of the second checkpoint written", "before the scores")


def stages():
    return [pytest.param(name, marks=() if name in QUICK_ONES else pytest.mark.slow) for name in STAGES]


@pytest.mark.fault("SIGKILL: no half file, no result; resumed, the run reaches the figures of one that was never cut")
@pytest.mark.parametrize("stage", stages())
def test_a_run_killed(stage, tmp_path, figures, saw):
    ended = dying.train(tmp_path, *VAE, trouble=STAGES[stage])
    assert ended.code == -signal.SIGKILL, ended.err
    run = the_run(tmp_path)
    for checkpoint in run.rglob("*.ckpt"):
        assert read_checkpoint(checkpoint)["state_dict"]
    if not (run / "result.json").exists() or not (run / "config.yaml").exists():
        saw("nothing there yet: " + nothing_to_resume(tmp_path, run))
        return
    assert read_result(run / "result.json").status == "running"
    resumed = dying.train(tmp_path, f"resume={run}")
    assert resumed.code == 0, resumed.err
    result = read_result(run / "result.json")
    assert (result.status, result.resumed) == ("finished", 1)
    assert result.metrics == figures
    saw("resumed to the same figures")


def nothing_to_resume(folder, run) -> str:
    resumed = dying.train(folder, f"resume={run}")
    assert resumed.code == 1
    (line,) = resumed.err.strip().splitlines()
    assert line.startswith("error: ")
    assert dying.train(folder, *VAE).code == 0
    return "one clear line, and a new run goes through"


@pytest.mark.slow
@pytest.mark.fault("SIGKILL while the PixelCNN trains: the model is kept, the prior goes on from its own checkpoint")
def test_a_run_killed_while_its_prior_trains(tmp_path, saw):
    arguments = ["model=vqvae", *QUICK, *SMALL["vqvae"], "prior.pixelcnn.max_steps=6"]
    metrics = []
    for name, trouble in (("whole", None), ("cut", Trouble("kill", "half", "last.ckpt", 5))):
        folder = tmp_path / name
        folder.mkdir()
        ended = dying.train(folder, *arguments, trouble=trouble)
        assert ended.code == (0 if trouble is None else -signal.SIGKILL), ended.err
        if trouble:
            run = the_run(folder)
            assert (run / "priors" / "pixelcnn" / "last.ckpt").is_file()
            assert dying.train(folder, f"resume={run}").code == 0
        metrics.append(read_result(the_run(folder) / "result.json").metrics)
    assert metrics[0] == metrics[1]
    saw("cut in the prior's second save; the same figures")


@pytest.mark.fault("two processes writing one run folder: the second is told so, and writes nothing")
def test_a_run_that_another_process_is_writing(whole, tmp_path, saw):
    run = shutil.copytree(whole, tmp_path / "runs" / whole.name)
    before = (run / "result.json").read_bytes()
    ready = dying.FORKS.Event()
    first = dying.FORKS.Process(target=dying.hold, args=(str(run), ready))
    first.start()
    assert ready.wait(60)
    second = dying.train(tmp_path, f"resume={run}", "trainer.max_steps=6")
    assert second.code == 1
    assert second.err.strip().splitlines()[-1] == f"error: run: another process is writing into {run}"
    assert (run / "result.json").read_bytes() == before
    first.kill()
    first.join()
    assert dying.train(tmp_path, f"resume={run}", "trainer.max_steps=6").code == 0
    saw("refused with one line; allowed once the first was killed")


def test_a_claim_ends_with_its_block(whole):
    for _ in range(2):
        with Run(whole).claimed(), pytest.raises(UserError, match="another process is writing"):
            Run(whole).claimed().__enter__()
