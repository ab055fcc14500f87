import json

import pytest
import torch

from aevq.errors import UserError
from aevq.files import point_latest
from aevq.runs.result import Result, read_result, write_result
from aevq.runs.run import create_folder, find_run, load_checkpoint


def result(name="a", status="finished"):
    return Result(
        name=name, status=status, model={"name": "AE"}, data={"name": "mnist5k"}, seed=0, command="", started=""
    )


def make_run(runs, name):
    path = create_folder(runs, name)
    write_result(result(name), path / "result.json")
    return path


def test_a_result_comes_back_as_it_was(tmp_path):
    write_result(result(), tmp_path / "result.json")
    assert read_result(tmp_path / "result.json") == result()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a readable result"),
        ("[]", "not a readable result"),
        (json.dumps({"schema_version": 99}), "expected schema_version 1, got 99"),
        (json.dumps({"schema_version": 1, "name": "a"}), "not a complete result"),
    ],
)
def test_a_torn_or_foreign_result_is_refused(tmp_path, content, message):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_result(tmp_path / "result.json")


def test_a_run_is_found_by_path_by_name_and_as_the_latest(tmp_path):
    first, second = make_run(tmp_path, "first"), make_run(tmp_path, "second")
    point_latest(tmp_path, first)
    point_latest(tmp_path, second)
    assert find_run(str(first), tmp_path) == first
    assert find_run("first", tmp_path) == first
    assert find_run("latest", tmp_path) == second


def test_the_latest_is_found_where_links_cannot_be_made(tmp_path):
    make_run(tmp_path, "first")
    newest = make_run(tmp_path, "second")
    assert find_run("latest", tmp_path) == newest


def test_an_unknown_run_names_the_nearest(tmp_path):
    make_run(tmp_path, "2026_vae")
    with pytest.raises(UserError, match=r"no run '2026_vea' in .*did you mean '2026_vae'"):
        find_run("2026_vea", tmp_path)
    with pytest.raises(UserError, match="there is no run in"):
        find_run("latest", tmp_path / "nowhere")


def test_two_runs_of_one_name_get_two_folders(tmp_path):
    assert create_folder(tmp_path, "a").name == "a"
    assert create_folder(tmp_path, "a").name == "a-2"


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("content", [{"state_dict": {}}, {"config": {"model": {}}, "state_dict": Payload()}, "text"])
def test_a_checkpoint_that_is_not_ours_is_refused_and_runs_no_code(tmp_path, capsys, content):
    path = tmp_path / "best.ckpt"
    torch.save(content, path)
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_checkpoint(path)
    assert "executed" not in capsys.readouterr().out


def test_a_torn_or_missing_checkpoint_is_refused(tmp_path):
    path = tmp_path / "best.ckpt"
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(path)
    torch.save({"config": {"model": {}}, "state_dict": {"w": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_checkpoint(path)
