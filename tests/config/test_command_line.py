import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import aevq
from aevq.config.command_line import config_root, nearest_key, one_line_errors, options_command
from aevq.errors import UserError, did_you_mean, expect_int, expect_ints, expect_number


@dataclass
class Options:
    """Does a thing."""

    n: int = 3
    name: str | None = None


def test_options_are_typed_and_overridden(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["x", "n=5"])
    options_command(seen.append, Options())
    assert seen == [Options(5, None)]


def test_help_shows_the_options_and_their_defaults(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", "--help"])
    options_command(lambda _: pytest.fail("ran"), Options())
    out = capsys.readouterr().out
    assert "Does a thing." in out
    assert "n=3" in out


@pytest.mark.parametrize(("error", "code"), [(UserError("bad"), 1), (KeyboardInterrupt(), 130)])
def test_what_a_user_can_mend_is_one_line_and_an_exit_code(error, code, capsys):
    with pytest.raises(SystemExit) as stop, one_line_errors(show_traceback=False):
        raise error
    assert stop.value.code == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors(show_traceback=False):
        1 / 0  # noqa: B018


def test_the_nearest_name_is_offered():
    assert did_you_mean("vea", ["ae", "vae"]) == "did you mean 'vae'? (valid: ae, vae)"
    assert did_you_mean("zzz", ["ae", "vae"]) == "(valid: ae, vae)"
    assert did_you_mean("x", []) == "(there are none)"


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("lr", "did you mean 'model.optimizer.lr'?"),
        ("latent_dims", "did you mean 'model.latent_dim'?"),
        ("trainer.max_epoch", "did you mean 'trainer.max_epochs'?"),
        ("xyzzy", "`--cfg job` prints all keys"),
    ],
)
def test_the_nearest_key_is_found_by_its_last_part_too(typed, nearest):
    keys = ["model.optimizer.lr", "model.latent_dim", "trainer.max_epochs", "prior.pixelcnn.learning_rate"]
    assert nearest_key(typed, keys) == nearest


@pytest.mark.parametrize("value", [0, 1.0, True, "1", None])
def test_only_whole_numbers_are_integers(value):
    with pytest.raises(UserError, match=r"^n: expected an integer ≥ 1, got "):
        expect_int("n", value, 1)


@pytest.mark.parametrize("values", [[], [0], 3, ["1"], None])
def test_a_list_of_integers_is_just_that(values):
    with pytest.raises(UserError, match=r"^n: expected a list of integers ≥ 1"):
        expect_ints("n", values, 1)
    expect_ints("n", (1, 2), 1)


@pytest.mark.parametrize(
    ("value", "interval", "good"),
    [
        (0, "[0, 1)", True),
        (1, "[0, 1)", False),
        (1, "[0, 1]", True),
        (0.0, "(0, inf)", False),
        (float("nan"), "[0, inf)", False),
        (float("inf"), "(0, inf)", False),
        (True, "[0, 1]", False),
        ("0.5", "[0, 1]", False),
    ],
)
def test_intervals_are_open_and_closed_as_written(value, interval, good):
    if good:
        expect_number("x", value, interval)
    else:
        with pytest.raises(UserError, match=r"^x: expected a number in "):
            expect_number("x", value, interval)


def test_the_configuration_is_found_from_everywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert (config_root() / "train.yaml").is_file()


def test_importing_the_package_is_light():
    code = "import sys, aevq; raise SystemExit('torch' in sys.modules)"
    root = Path(aevq.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_help_and_a_sweep_that_only_starts_its_jobs_need_no_torch():
    code = "import sys, aevq.train, aevq.sweeps.launch, aevq.config.terminal; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = (
        "import sys; sys.argv[1:] = ['--help']; import aevq.train; aevq.train.main(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_a_reader_that_has_read_enough_gets_no_traceback():
    code = "from aevq.config.command_line import one_line_errors\nwith one_line_errors(False): raise BrokenPipeError"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_help_lists_what_can_be_chosen_and_no_inner_parts(command):
    from aevq.train import main

    code, out, _ = command(main, "--help")
    assert code == 0
    assert "data: fashion_mnist, kmnist, mnist, mnist5k, stacked_mnist, stacked_mnist5k\n" in out
