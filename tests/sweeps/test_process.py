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


def end(job: SweepJob, folder: Path, code: str) -> SweepJob:
    """Let the process of a job run `code`, and return the job."""
    (folder / "logs").mkdir(exist_ok=True)
    with (folder / job.log).open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log)
    process.wait()
    assert JobProcess(Sweep("", "", [], [job], path=folder), job, process).poll()
    return job


KILLED = "import os; os.kill(os.getpid(), 9)"
EXITED = "import os; print('bye', flush=True); os._exit(3)"
BYE = "ended with exit code 3; last output: bye"


@pytest.mark.parametrize(
    ("code", "recorded", "outcome"),
    [
        ("", ("finished", None), ("finished", None, False)),
        ("", ("running", None), ("failed", "ended with exit code 0", True)),
        ("exit(1)", ("failed", "RuntimeError: no"), ("failed", "RuntimeError: no", False)),
        (KILLED, ("running", None), ("failed", "killed by SIGKILL", True)),
        (EXITED, ("running", None), ("failed", BYE, True)),
        (f"exit({PREEMPTED})", ("interrupted", "stopped by SIGTERM"), ("interrupted", "stopped by SIGTERM", True)),
        ("exit(130)", ("interrupted", "Ctrl-C"), ("interrupted", "Ctrl-C", True)),
    ],
)
def test_the_end_of_a_process_and_what_its_run_recorded_decide_what_becomes_of_the_job(
    code, recorded, outcome, tmp_path
):
    path, job = tmp_path / "0_ae" / "result.json", SweepJob(0, ["model=ae"], "running")
    for folder in (path.parent, tmp_path / "logs"):
        folder.mkdir()
    write_result(make_result("0_ae", recorded[0], error=recorded[1]), path)
    (tmp_path / job.status_file).write_text(json.dumps({"folder": str(path.parent)}))
    end(job, tmp_path, code)
    assert (job.status, job.error, job.resumable) == outcome
    assert job.folder == "0_ae"
    assert (read_result(path).status, read_result(path).error) == outcome[:2]


@pytest.mark.parametrize("before", [None, "0_ae"])
def test_bad_input_is_reported_by_its_own_line_and_a_resumable_run_stays_so(before, tmp_path):
    job = SweepJob(0, ["model=ae"], "running", folder=before, resumable=before is not None)
    end(job, tmp_path, "import sys; sys.exit('error: seed: expected 0')")
    assert (job.status, job.error) == ("failed", "seed: expected 0")
    assert (job.folder, job.resumable) == (before, before is not None)


@pytest.mark.parametrize(
    ("label", "suffix"),
    [
        ("(defaults)", ""),
        ("model=vae seed=1", ""),
        ("model=vae model.beta=4 seed=1", "_beta-4"),
        ("model/likelihood=laplace model.num_codes=64", "_likelihood-laplace_num_codes-64"),
        ("+note=../../etc", "_+note-..-..-etc"),
        ("model.network.hidden=[20,30]", "_hidden--20-30-"),
        (
            "model.optimizer.lr=0.0012345678901234 model.commitment_cost=0.98765432109876 model.beta=4",
            "_lr-0.0012345678901234_commitment_cost-0.98765432109876",
        ),
        (f"model.network.hidden=[{'10,' * 40}]", ""),
    ],
)
def test_the_name_of_a_folder_says_what_was_varied(label, suffix):
    """As many words as fit, each whole."""
    assert _suffix(label) == suffix
    assert not set("/='") & set(_suffix(label))


@pytest.mark.parametrize("name", ["a", "1_vae_leave_out=5", "a b,c", "it's", "[x]{y}", "ü~!", "a\\'b"])
def test_a_folder_of_any_name_can_be_resumed(name):
    (override,) = OverridesParser.create().parse_overrides([resume_override(Path("/runs") / name)])
    assert (override.key_or_group, override.value()) == ("resume", f"/runs/{name}")
