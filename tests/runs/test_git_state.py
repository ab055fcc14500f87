import subprocess

from aevq.runs.result import git_state


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
