import json
import math
import subprocess

import pytest

from aevq.errors import UserError
from aevq.runs.result import git_state, read_result, write_result
from helpers.run_folders import make_result


def test_a_result_comes_back_as_it_was(tmp_path):
    result = make_result(train={"steps": 3, "seconds": 2.5}, git={"commit": "a", "dirty": True}, error="Grüße")
    write_result(result, tmp_path / "result.json")
    assert read_result(tmp_path / "result.json") == result
    assert isinstance(read_result(tmp_path / "result.json").train["steps"], int)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema_version: should be 1, got 99"),
        ({"status": "done"}, "status: should be 'running', 'finished', 'failed' or 'interrupted', got 'done'"),
        ({"seed": "3"}, "seed: should be a valid integer, got '3'"),
        ({"metrics": {"a": math.nan}}, "metrics: should be a finite number, got nan"),
        ({"metrics": {"a": True}}, "metrics: should be a valid number, got True"),
        ({"data": {}}, "data: missing"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(change, message, tmp_path):
    path = tmp_path / "result.json"
    write_result(make_result(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=rf"result\.json: {message}"):
        read_result(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"schema_version": 1}', "[" * 100_000, "\x00"])
def test_a_missing_torn_or_foreign_file_is_one_clear_line(content, tmp_path):
    path = tmp_path / "result.json"
    with pytest.raises(UserError, match=r"result\.json: cannot be read \(No such file"):
        read_result(path)
    path.write_text(content)
    with pytest.raises(UserError, match=r"result\.json: ") as caught:
        read_result(path)
    assert "\n" not in str(caught.value)


def test_a_number_that_is_not_finite_is_not_written(tmp_path):
    result = make_result()
    write_result(result, tmp_path / "result.json")
    result.metrics["a"] = math.nan
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(result, tmp_path / "result.json")
    assert read_result(tmp_path / "result.json").metrics == {}, "what was there stays"


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_a_tree_is_dirty_by_what_could_have_run(tmp_path):
    assert git_state(tmp_path) is None
    (tmp_path / "aevq").mkdir()
    (tmp_path / "aevq" / "a.py").write_text("1")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "result.json").write_text("{}")
    state = git_state(tmp_path)
    assert len(state["commit"]) == 40
    assert not state["dirty"], "a run that lies about changes no result"
    (tmp_path / "aevq" / "new.py").write_text("2")
    assert git_state(tmp_path)["dirty"], "a new file may be imported"
    (tmp_path / "aevq" / "new.py").unlink()
    (tmp_path / "aevq" / "a.py").write_text("3")
    assert git_state(tmp_path)["dirty"]
