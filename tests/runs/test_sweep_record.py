import json

import pytest

from aevq.errors import UserError
from aevq.runs.folder import SWEEP_FILE
from aevq.runs.sweep_record import Sweep, SweepJob, differing, read_sweep


def sweep(path, *states):
    jobs = [SweepJob(i, [f"seed={i}", "data=mnist5k"], status=state) for i, state in enumerate(states)]
    return Sweep("python -m aevq.train -m seed=0,1", "2026-01-01T00:00:00+00:00", [], jobs, path=path)


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
def test_the_status_of_a_sweep_is_that_of_its_worst_job(states, status, tmp_path):
    sweep(tmp_path, *states).save()
    assert json.loads((tmp_path / SWEEP_FILE).read_text())["status"] == status


def test_a_job_is_named_after_what_the_others_do_not_have():
    jobs = [SweepJob(0, ["a=1", "b=2", "model=ae"]), SweepJob(1, ["a=1", "b=3", "model=ae"])]
    assert differing(jobs) == {0: "b=2", 1: "b=3"}
    assert differing(jobs[:1]) == {0: "a=1 b=2 model=ae"}, "the first trial of a search"
    assert differing([SweepJob(0, [])]) == {0: "(defaults)"}


@pytest.mark.parametrize("content", ["", "[]", '{"jobs": 3}', '{"command": "", "started": "", "jobs": [{}]}'])
def test_a_torn_record_is_one_clear_line(content, tmp_path):
    (tmp_path / SWEEP_FILE).write_text(content)
    with pytest.raises(UserError, match=r"sweep\.json: ") as caught:
        read_sweep(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["../../elsewhere", "/tmp", "..", "", "a/b"])
def test_a_job_in_another_place_and_another_schema_version_are_refused(folder, tmp_path):
    sweep(tmp_path, "finished").save()
    path = tmp_path / SWEEP_FILE
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"schema_version": 2}))
    with pytest.raises(UserError, match="schema_version: should be 1, got 2"):
        read_sweep(tmp_path)
    values["jobs"][0]["folder"] = folder
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"sweep\.json: jobs\.0: should match pattern"):
        read_sweep(tmp_path)
