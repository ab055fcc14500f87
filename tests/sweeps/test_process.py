"""How a job's end is judged, by processes that end in each way, and no training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from aevq.errors import PREEMPTED
from aevq.runs.result import Result, read_result, write_result
from aevq.sweeps.process import JobProcess, _suffix, resume_override
from aevq.sweeps.record import Sweep, SweepJob


def ended(tmp_path, code: str, status: str | None, error: str | None = None) -> SweepJob:
    """A job whose process runs `code`, and whose run says `status` of itself, if it got so far."""
    (tmp_path / "logs").mkdir()
    job = SweepJob(0, ["model=ae"], log="logs/0.log")
    if status is not None:
        (tmp_path / "0_ae").mkdir()
        result = Result("0_ae", status, {}, {}, 0, "", "", error=error)
        write_result(result, tmp_path / "0_ae" / "result.json")
        (tmp_path / "logs" / "0.status.json").write_text(json.dumps({"folder": str(tmp_path / "0_ae")}))
    with (tmp_path / job.log).open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log)
    process.wait()
    assert JobProcess(Sweep(tmp_path, "", "", [], [job]), job, 0, process).ended()
    return job


def test_a_finished_run_is_finished(tmp_path):
    job = ended(tmp_path, "", "finished")
    assert (job.status, job.error, job.folder, job.cut) == ("finished", None, "0_ae", False)


def test_exit_code_zero_without_a_finished_run_is_a_failure(tmp_path):
    assert ended(tmp_path, "", "running").status == "failed"


def test_a_run_that_raised_says_why_itself(tmp_path):
    job = ended(tmp_path, "exit(1)", "failed", "RuntimeError: no")
    assert (job.status, job.error, job.cut) == ("failed", "RuntimeError: no", False)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os; print('bye', flush=True); os._exit(3)", "ended with exit code 3; last said: bye"),
    ],
)
def test_a_run_that_could_not_say_it_is_marked_failed_and_goes_on_later(code, error, tmp_path):
    job = ended(tmp_path, code, "running")
    assert (job.status, job.error, job.cut) == ("failed", error, True)
    result = read_result(tmp_path / "0_ae" / "result.json")
    assert (result.status, result.error) == ("failed", error)


def test_a_preempted_run_goes_on_later(tmp_path):
    job = ended(tmp_path, f"exit({PREEMPTED})", "interrupted", "stopped by SIGTERM")
    assert (job.status, job.error, job.cut) == ("interrupted", "stopped by SIGTERM", True)


def test_an_interrupted_run_is_one(tmp_path):
    assert ended(tmp_path, "exit(130)", "interrupted").cut


def test_bad_input_is_told_by_its_own_line(tmp_path):
    job = ended(tmp_path, "import sys; sys.exit('error: seed: expected 0')", None)
    assert (job.status, job.error, job.folder, job.cut) == ("failed", "seed: expected 0", None, False)


def test_a_job_that_could_not_even_be_resumed_still_has_its_checkpoint_to_go_on_from(tmp_path):
    job = SweepJob(0, ["model=ae"], folder="0_ae", cut=True, log="log")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", "exit('error: trust')"], stdout=log, stderr=log)
    process.wait()
    assert JobProcess(Sweep(tmp_path, "", "", [], [job]), job, 0, process).ended()
    assert (job.status, job.error, job.folder, job.cut) == ("failed", "trust", "0_ae", True)


@pytest.mark.parametrize(
    ("label", "suffix"),
    [
        ("(defaults)", ""),
        ("model=vae seed=1", ""),
        ("model=vae model.beta=4 seed=1", "_beta-4"),
        ("model/likelihood=laplace model.num_codes=64", "_likelihood-laplace_num_codes-64"),
        ("+note=../../etc", "_+note-..-..-etc"),
        ("model.network.hidden=[20,30]", "_hidden--20-30-"),
    ],
)
def test_a_folders_name_says_what_was_varied_and_is_a_name(label, suffix):
    assert _suffix(label) == suffix
    assert not set("/='") & set(_suffix(label))


@pytest.mark.parametrize("name", ["a", "1_vae_leave_out=5", "a b,c", "it's", "[x]{y}", "ü~!", "a\\'b"])
def test_a_folder_of_any_name_can_be_resumed(name):
    (override,) = OverridesParser.create().parse_overrides([resume_override(Path("/runs") / name)])
    assert (override.key_or_group, override.value()) == ("resume", f"/runs/{name}")
