import json

import pytest

from aevq.errors import UserError
from aevq.sweeps.record import SWEEP_FILE, Sweep, SweepJob, differing, find_sweep, read_sweep


def sweep(path, *states):
    jobs = [SweepJob(i, [f"seed={i}", "data=mnist5k"], status=state) for i, state in enumerate(states)]
    return Sweep(path, "python -m aevq.train -m seed=0,1", "2026-01-01T00:00:00+00:00", [], jobs)


def test_what_is_written_is_read(tmp_path):
    written = sweep(tmp_path, "finished", "failed")
    written.jobs[1].error = "Grüße"
    written.save()
    assert read_sweep(tmp_path) == written


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("finished", "finished"), "finished"),
        (("finished", "failed"), "failed"),
        (("failed", "interrupted"), "interrupted"),
        (("failed", "running"), "running"),
        (("waiting", "finished"), "running"),
    ],
)
def test_a_sweep_is_as_its_worst_job(states, status, tmp_path):
    assert sweep(tmp_path, *states).status == status


def test_a_job_is_called_by_what_the_others_do_not_have():
    jobs = [SweepJob(0, ["a=1", "b=2", "model=ae"]), SweepJob(1, ["a=1", "b=3", "model=ae"])]
    assert differing(jobs) == {0: "b=2", 1: "b=3"}
    assert differing(jobs[:1]) == {0: "(defaults)"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "jobs": [{}]}'])
def test_a_torn_record_is_one_clear_line(content, tmp_path):
    (tmp_path / SWEEP_FILE).write_text(content)
    with pytest.raises(UserError, match="not a readable record of a sweep"):
        read_sweep(tmp_path)


def test_another_schema_version_is_refused(tmp_path):
    sweep(tmp_path, "finished").save()
    values = json.loads((tmp_path / SWEEP_FILE).read_text()) | {"schema_version": 2, "sha256": None}
    (tmp_path / SWEEP_FILE).write_text(json.dumps(values))
    with pytest.raises(UserError, match="expected schema_version 1, got 2"):
        read_sweep(tmp_path)


def test_the_latest_sweep_is_the_one_that_began_last(tmp_path):
    for name in ("2026-01-01", "2026-01-02"):
        (tmp_path / "sweep" / name).mkdir(parents=True)
        sweep(tmp_path / "sweep" / name, "finished").save()
    assert find_sweep("latest", tmp_path).name == "2026-01-02"
    assert find_sweep("2026-01-01", tmp_path).name == "2026-01-01"
    assert find_sweep(str(tmp_path / "sweep" / "2026-01-01"), tmp_path).name == "2026-01-01"
    with pytest.raises(UserError, match="did you mean '2026-01-02'"):
        find_sweep("2026-01-03", tmp_path)
