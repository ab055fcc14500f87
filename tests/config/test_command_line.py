import errno
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aevq.config.checks import PositiveInt
from aevq.config.command_line import (
    EXTRAS,
    _as_hydra_reads_them,
    compose,
    config_root,
    one_line_errors,
    options_command,
)
from aevq.errors import Stopped, UserError, did_you_mean, expect_int


@dataclass
class Options:
    """Does a thing."""

    n: PositiveInt = 3
    name: str | None = None
    words: list[str] = field(default_factory=list)


@pytest.mark.parametrize(
    ("arguments", "collected", "expected"),
    [
        (["n=5"], None, Options(5)),
        (["--n=5", "--name=a b"], None, Options(5, "a b")),
        (["name=0012"], None, Options(3, "0012")),
        (["name=null"], None, Options()),
        (["words=[a,b]"], None, Options(words=["a", "b"])),
        (["runs/a=b", "n=5", "c"], "words", Options(5, words=["runs/a=b", "c"])),
    ],
)
def test_options_are_typed_and_other_arguments_collected(arguments, collected, expected, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["x", *arguments])
    options_command(seen.append, Options(), collected)
    assert seen == [expected]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("n=0", "error: n: should be greater than 0, got 0"),
        ("n=two", "error: n: should be a valid integer, got 'two'"),
        ("nam=x", "error: nam: unknown option; did you mean 'name'?"),
        ("x", "error: 'x': expected name=value"),
    ],
)
def test_a_wrong_option_is_one_line(argument, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", argument])
    with pytest.raises(SystemExit) as stop:
        options_command(lambda _: pytest.fail("ran"), Options())
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert err.startswith(message)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_help_shows_the_options_and_their_defaults(asked, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", asked])
    options_command(lambda _: pytest.fail("ran"), Options())
    out = capsys.readouterr().out
    assert "Does a thing." in out
    assert "n=3" in out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("bad"), 1),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), 1),
        (KeyboardInterrupt(), 130),
        (Stopped(signal.SIGINT), 130),
        (Stopped(signal.SIGTERM), 75),
    ],
)
def test_an_error_that_a_user_can_correct_is_one_line_and_an_exit_code(error, code, capsys):
    with pytest.raises(SystemExit) as stop, one_line_errors(show_traceback=False):
        raise error
    assert stop.value.code == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors(show_traceback=False):
        raise ZeroDivisionError


def test_the_nearest_name_is_offered():
    assert did_you_mean("vea", ["ae", "vae"]) == "did you mean 'vae'? (valid: ae, vae)"
    assert did_you_mean("zzz", ["ae", "vae"]) == "(valid: ae, vae)"
    assert did_you_mean("x", []) == "(there are none)"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lr=3", "lr: no such key in the configuration; did you mean 'model.optimizer.lr'?"),
        ("latent_dims=3", "latent_dims: no such key in the configuration; did you mean 'model.latent_dim'?"),
        ("trainer.max_epoch=3", "did you mean 'trainer.max_epochs'?"),
        ("xyzzy=3", "xyzzy: no such key in the configuration; `--cfg job` prints all keys"),
        ("~model.betta", "model.betta: no such key in the configuration; did you mean 'model.beta'?"),
        ("modle=vae", "did you mean 'model'?"),
        ("model=vea", "model=vea: unknown; did you mean 'vae'? (valid: ae, vae, vae_conv, vqvae)"),
        ("data=minst", "data=minst: unknown; did you mean 'mnist'?"),
        ("prior=[mixtur]", "prior=mixtur: unknown; did you mean 'mixture'?"),
        ("model/netwrok=mlp", "did you mean 'model/network'?"),
        ("model.beta=[1,2", "model.beta=[1,2: cannot be read as key=value"),
    ],
)
def test_an_override_that_hydra_refuses_is_one_line_with_the_nearest_name(override, message):
    with pytest.raises(UserError) as error:
        compose(override)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("group", ["sweeper", "launcher"])
def test_a_plugin_that_is_missing_is_named_with_its_extra(group, monkeypatch):
    monkeypatch.setitem(EXTRAS, "nosuch", "optuna")
    with pytest.raises(UserError, match=rf"^hydra/{group}=nosuch: not installed; pip install aevq\[optuna\]$"):
        compose(f"hydra/{group}=nosuch")
    known = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS.values()) <= known["optional-dependencies"].keys()
    for name in [name for name, extra in EXTRAS.items() if extra == "launchers"]:
        compose(f"hydra/launcher={name}")


def test_another_folder_of_yaml_files_is_searched_too(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("defaults: [vae]\nbeta: 7.0\n")
    assert compose("model=mine", config_dir=str(tmp_path)).model.beta == 7


@pytest.mark.parametrize("value", [0, 1.0, True, "1", None])
def test_only_whole_numbers_are_integers(value):
    with pytest.raises(UserError, match=r"^n: expected an integer ≥ 1, got "):
        expect_int("n", value, 1)


def test_the_configuration_is_found_from_everywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert (config_root() / "train.yaml").is_file()


def python(code):
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


def test_the_package_its_help_and_a_sweep_that_only_starts_its_jobs_need_no_torch():
    assert python("import sys, aevq, aevq.sweeps.launch; sys.exit('torch' in sys.modules)").returncode == 0
    done = python(
        "import sys; sys.argv[1:] = ['--help']; import aevq.train; aevq.train.main(); sys.exit('torch' in sys.modules)"
    )
    assert done.returncode == 0
    assert "model: ae, vae, vae_conv, vqvae\n" in done.stdout


def test_a_closed_pipe_is_no_traceback():
    done = python("from aevq.config.command_line import one_line_errors as o\nwith o(False): raise BrokenPipeError")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_what_lightning_adds_for_another_process_of_a_run_is_accepted(monkeypatch):
    for local_rank in ("0", "1"):
        monkeypatch.setenv("LOCAL_RANK", local_rank)
        if local_rank == "1":
            assert _as_hydra_reads_them(["hydra.run.dir=x", "--cfg", "job"]) == ["--cfg", "job", "hydra.run.dir=x"]
        else:
            with pytest.raises(UserError, match=r"hydra\.run\.dir: "):
                _as_hydra_reads_them(["hydra.run.dir=x"])
