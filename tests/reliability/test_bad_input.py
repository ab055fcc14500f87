"""Hundreds of wrong command lines: one clear line that names the key, before anything is read or written."""

import pytest

from aevq.train import main
from helpers.bad_input import Case, cases
from helpers.commands import run_command

QUICK = 60  # number of them in the quick suite
AS_PROCESSES = 12


def some(count: int) -> set[int]:
    """Return indices that are spread over all cases."""
    step = len(cases()) // count
    return set(range(0, count * step, step))


def parameters():
    quick = some(QUICK)
    return [
        pytest.param(case, id=str(case), marks=[] if i in quick else [pytest.mark.slow])
        for i, case in enumerate(cases())
    ]


def check_the_line(case: Case, code: int, err: str) -> None:
    lines = [line for line in err.splitlines() if line.strip()]
    assert code == 1, err
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert case.names in lines[0]
    assert case.near in lines[0]


def test_there_are_five_hundred_at_least():
    assert len(cases()) >= 500
    assert len({case.arguments for case in cases()}) == len(cases())


@pytest.mark.bad_input
@pytest.mark.parametrize("case", parameters())
def test_one_clear_line_before_anything_is_read_or_written(case, command, tmp_path, monkeypatch):
    def read(*_):
        raise AssertionError("the data were read")

    monkeypatch.setattr("aevq.data.MNISTDataModule.make_splits", read)
    code, out, err = command(main, *case.arguments)
    check_the_line(case, code, err)
    assert out == ""
    assert not list(tmp_path.rglob("*"))


@pytest.mark.slow
@pytest.mark.bad_input
@pytest.mark.parametrize("index", sorted(some(AS_PROCESSES)))
def test_the_same_as_a_process(index, tmp_path):
    case = cases()[index]
    done = run_command("train", tmp_path, *case.arguments)
    check_the_line(case, done.returncode, done.stderr)
    assert done.stdout == ""
    assert not list(tmp_path.rglob("*"))
