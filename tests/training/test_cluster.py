"""How a process recognises its scheduler by the environment."""

import pytest

from aevq.errors import UserError
from aevq.training.cluster import externally_launched, job_name, requeue

CONFIG = {"model": {"latent_dim": 2}, "seed": 0}
VARIABLES = ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
SLURM = {"SLURM_JOB_ID": "31", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "aevq"}


@pytest.fixture
def environment(monkeypatch):
    for name in (*VARIABLES, "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)

    def set_variables(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize("name", [None, "bash", "interactive"])
def test_without_a_scheduler_or_in_an_interactive_allocation_there_is_no_job(name, environment):
    if name is not None:
        environment(**SLURM | {"SLURM_JOB_NAME": name})
    assert job_name(CONFIG) is None
    assert not externally_launched()


def test_a_run_of_a_job_of_slurm_has_the_same_name_at_each_start_and_in_each_process(environment):
    environment(**SLURM, SLURM_PROCID="0")
    first = job_name(CONFIG)
    assert job_name(CONFIG | {"seed": 1}) != first
    environment(SLURM_PROCID="1", SLURM_RESTART_COUNT="1")
    assert job_name(dict(reversed(CONFIG.items()))) == first
    assert first.startswith("slurm-31-")
    assert externally_launched()
    environment(SLURM_ARRAY_JOB_ID="30", SLURM_ARRAY_TASK_ID="4")
    assert job_name(CONFIG).startswith("slurm-30-4-")


def test_torchrun_has_to_name_its_job(environment):
    environment(TORCHELASTIC_RUN_ID="job7")
    assert job_name(CONFIG).startswith("job7-")
    assert externally_launched()
    environment(TORCHELASTIC_RUN_ID="none")
    with pytest.raises(UserError, match=r"torchrun: expected --rdzv-id=<a name of the job> .* got none"):
        job_name(CONFIG)


def test_only_a_job_of_slurm_is_put_back_into_its_queue(environment, tmp_path, monkeypatch):
    log = tmp_path / "log"
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {log}\n[ "$2" = 31 ] || {{ echo no such job >&2; exit 1; }}\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert requeue() is None
    assert not log.exists()
    environment(**SLURM)
    assert requeue() is None
    assert log.read_text() == "requeue 31\n"
    environment(SLURM_JOB_ID="32")
    assert requeue() == "no such job"
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert requeue() == "scontrol: No such file or directory"
