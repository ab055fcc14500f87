"""What the end of a job's process means, with processes that end in each way and train nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from aevq.errors import PREEMPTED
from aevq.runs.result import read_result, write_result
from aevq.runs.sweep_record import Sweep, SweepJob
from aevq.sweeps.process import JobProcess, _suffix, resume_override
from helpers.run_folders import make_result


def ended(tmp_path, code: str, status: str | None, error: str | None = None) -> SweepJob:
    """Return a job whose process ran `code` and whose run recorded `status`, if it got so far."""
    (tmp_path / "logs").mkdir()
    job = SweepJob(0, ["model=ae"], "running")
    if status is not None:
        (tmp_path / "0_ae").mkdir()
        write_result(make_result("0_ae", status, error=error), tmp_path / "0_ae" / "result.json")
        (tmp_path / "logs" / "0.status.json").write_text(json.dumps({"folder": str(tmp_path / "0_ae")}))
    with (tmp_path / job.log).open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log)
    process.wait()
    assert JobProcess(Sweep("", "", [], [job], path=tmp_path), job, process).poll()
    return job


def test_a_finished_run_is_finished(tmp_path):
    job = ended(tmp_path, "", "finished")
    assert (job.status, job.error, job.folder, job.resumable) == ("finished", None, "0_ae", False)


def test_exit_code_zero_without_a_finished_run_is_a_failure(tmp_path):
    assert ended(tmp_path, "", "running").status == "failed"


def test_a_run_that_raised_has_recorded_why(tmp_path):
    job = ended(tmp_path, "exit(1)", "failed", "RuntimeError: no")
    assert (job.status, job.error, job.resumable) == ("failed", "RuntimeError: no", False)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os; print('bye', flush=True); os._exit(3)", "ended with exit code 3; last output: bye"),
    ],
)
def test_a_run_that_could_not_record_its_end_is_marked_failed_and_can_be_resumed(code, error, tmp_path):
    job = ended(tmp_path, code, "running")
    assert (job.status, job.error, job.resumable) == ("failed", error, True)
    result = read_result(tmp_path / "0_ae" / "result.json")
    assert (result.status, result.error) == ("failed", error)


def test_a_preempted_run_can_be_resumed(tmp_path):
    job = ended(tmp_path, f"exit({PREEMPTED})", "interrupted", "stopped by SIGTERM")
    assert (job.status, job.error, job.resumable) == ("interrupted", "stopped by SIGTERM", True)


def test_an_interrupted_run_can_be_resumed(tmp_path):
    assert ended(tmp_path, "exit(130)", "interrupted").resumable


def test_bad_input_is_reported_by_its_own_line(tmp_path):
    job = ended(tmp_path, "import sys; sys.exit('error: seed: expected 0')", None)
    assert (job.status, job.error, job.folder, job.resumable) == ("failed", "seed: expected 0", None, False)


def test_a_job_whose_resume_fails_at_once_can_still_be_resumed(tmp_path):
    (tmp_path / "logs").mkdir()
    job = SweepJob(0, ["model=ae"], "running", folder="0_ae", resumable=True)
    with (tmp_path / job.log).open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", "exit('error: trust')"], stdout=log, stderr=log)
    process.wait()
    assert JobProcess(Sweep("", "", [], [job], path=tmp_path), job, process).poll()
    assert (job.status, job.error, job.folder, job.resumable) == ("failed", "trust", "0_ae", True)


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
def test_the_name_of_a_folder_says_what_was_varied(label, suffix):
    assert _suffix(label) == suffix
    assert not set("/='") & set(_suffix(label))


@pytest.mark.parametrize("name", ["a", "1_vae_leave_out=5", "a b,c", "it's", "[x]{y}", "ü~!", "a\\'b"])
def test_a_folder_of_any_name_can_be_resumed(name):
    (override,) = OverridesParser.create().parse_overrides([resume_override(Path("/runs") / name)])
    assert (override.key_or_group, override.value()) == ("resume", f"/runs/{name}")
