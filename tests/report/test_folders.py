import pytest

from aevq.errors import UserError
from aevq.report.folders import collect
from helpers.run_folders import make_run, sweep_of


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
