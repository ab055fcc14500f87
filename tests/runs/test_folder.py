import pytest

from aevq.errors import UserError
from aevq.files import point_latest
from aevq.runs.folder import LATEST_SWEEP, claimed, find_folder, find_run, find_sweep, read_config


def make(*folders, file="result.json"):
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("{}")
    return folders


def test_a_run_is_found_by_path_by_name_and_as_the_latest(tmp_path):
    first, second = make(tmp_path / "first", tmp_path / "second")
    assert find_run("latest", tmp_path) == second, "where links cannot be made"
    point_latest(tmp_path, second)
    point_latest(tmp_path, first)
    assert find_run(str(second), tmp_path) == second
    assert find_run("second", tmp_path) == second
    assert find_run("latest", tmp_path) == first, "the run that was started last, whatever its name"


def test_a_sweep_is_found_by_path_by_name_and_as_the_latest(tmp_path):
    old, new = make(tmp_path / "sweep" / "2026-01-01", tmp_path / "sweep" / "2026-01-02", file="sweep.json")
    (other,) = make(tmp_path / "sweep" / "2025-01-01" / "0_ae")  # another launcher's, which writes no record
    make(tmp_path / "2026-02-01_ae")
    for find in (find_sweep, find_folder):
        assert find("latest", tmp_path) == new
        assert find("2026-01-01", tmp_path) == find(str(old), tmp_path) == old
        assert find("2025-01-01", tmp_path) == other.parent
    point_latest(tmp_path, old, LATEST_SWEEP)
    assert find_sweep("latest", tmp_path) == find_folder("latest", tmp_path) == old
    assert find_folder("2026-02-01_ae", tmp_path) == tmp_path / "2026-02-01_ae"


@pytest.mark.parametrize("find", [find_run, find_sweep, find_folder])
def test_an_unknown_name_gets_the_nearest_one(find, tmp_path):
    make(tmp_path / "2026_vae", tmp_path / "sweep" / "2026_vae" / "0_vae")
    with pytest.raises(UserError, match=r"^key: no .* '2026_vea' in .*; did you mean '2026_vae'\?"):
        find("2026_vea", tmp_path, "key")
    with pytest.raises(UserError, match=r"^key: no .* 'latest' in"):
        find("latest", tmp_path / "nowhere", "key")


def test_of_two_processes_one_writes(tmp_path):
    refused = pytest.raises(UserError, match="run: another process is writing into")
    with claimed(tmp_path, "run"), refused, claimed(tmp_path, "run", timeout=0.1):
        pass
    with claimed(tmp_path, "run"):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not a mapping"),
        ("- 1", "it is not a mapping"),
        ("a: [1", "while parsing"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: ${oc.env:HOME}", "it contains an interpolation"),
        (None, "No such file"),
    ],
)
def test_a_configuration_that_is_not_plain_values_is_one_clear_line(text, message, tmp_path):
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=rf"config\.yaml: not a run's configuration \(.*{message}") as caught:
        read_config(path)
    assert "\n" not in str(caught.value)
