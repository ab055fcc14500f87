"""What all commands share: where the yaml files are, options `name=value`, and errors as one line."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aevq.config.terminal import accept_any_encoding, harmless
from aevq.errors import INTERRUPTED, Stopped, UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Plugins of Hydra, and the extra of this package that installs each.
EXTRAS = {"optuna": "optuna"} | dict.fromkeys(("joblib", "submitit_local", "submitit_slurm"), "launchers")
_OPTION = re.compile(r"[A-Za-z_]+=")  # in a path, what stands before a = has other characters
# Problems of the machine's files, not bugs.
MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def config_root() -> Path:
    """Return the folder of the yaml files: `conf` of the checkout, else the copy in the installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "conf"
    return checkout if (checkout / "train.yaml").is_file() else package / "conf"


def compose(*overrides: str, config_dir: str | None = None) -> DictConfig:
    """Return what `python -m aevq.train` composes from overrides such as `model=vae`; `config_dir` as `--config-dir`.

    Raises:
        UserError: If an override is wrong.
    """
    GlobalHydra.instance().clear()
    searched = [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"] if config_dir else []
    try:
        with hydra.initialize_config_dir(str(config_root()), version_base="1.3"):
            return hydra.compose("train", [*searched, *overrides])
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UserError(_message(error, overrides)) from error


def hydra_command(task: Callable[[DictConfig], Any], config_name: str) -> None:
    """Run `task` as a Hydra application, with errors as one line."""
    # Hydra prints errors in its own way and exits; with this variable it raises them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = ["debug=traceback" if argument == "debug=true" else argument for argument in sys.argv[1:]]
    show_traceback = any(argument.startswith(("debug=", "show_traceback=true")) for argument in sys.argv[1:])
    raised: list[BaseException] = []

    def job(config: DictConfig) -> Any:
        # In a single run Hydra would print the overrides in front of the error, so it is carried past Hydra.
        try:
            return task(config)
        except (Exception, Stopped) as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:  # another launcher than ours, which knows exit codes only
                if isinstance(error, Stopped):
                    sys.exit(_say(str(error), error.exit_code))
                raise
            raised.append(error)

    with one_line_errors(show_traceback):
        try:
            hydra.main(version_base="1.3", config_path=str(config_root()), config_name=config_name)(job)()
        except ValueError as error:  # Hydra's, from composing: the job's own are in `raised`
            raise UserError(_message(error)) from error
        if raised:
            raise raised[0]


def options_command(task: Callable[[Any], Any], defaults: Any, words: str | None = None) -> None:
    """Run `task` with options `name=value` from the command line.

    Args:
        task: Called with the options, an instance of the class of `defaults`.
        defaults: An instance of a dataclass; its docstring is the help text.
        words: The option that collects the arguments which are not `name=value`, a list; None where there are none.
    """
    with one_line_errors("debug=true" in sys.argv):
        arguments = [_without_dashes(argument) for argument in sys.argv[1:] if argument != "debug=true"]
        known = {field.name: getattr(defaults, field.name) for field in fields(defaults)}
        if "help=true" in arguments or "-h" in arguments:
            print(f"{(type(defaults).__doc__ or '').strip()}\n\nOptions and their defaults:")
            print("".join(f"  {name}={'null' if value is None else value}\n" for name, value in known.items()))
            return
        options = [argument for argument in arguments if words is None or _OPTION.match(argument)]
        chosen = _typed(options, defaults)
        if words:
            chosen[words] = [argument for argument in arguments if argument not in options]
        task(type(defaults)(**known | chosen))


def _typed(options: list[str], defaults: Any) -> dict[str, Any]:
    """Return the values of `name=value`, by name, checked against the types of the options."""
    from aevq.config.checks import validate  # pydantic takes a moment to import, and Hydra's commands may not need it

    types = get_type_hints(type(defaults), include_extras=True)
    for option in options:
        name = option.partition("=")[0].partition(".")[0]
        if "=" not in option:
            raise UserError(f"{option!r}: expected name=value")
        if name not in types:
            raise UserError(f"{name}: unknown option; {did_you_mean(name, types)}")
    values: Any = OmegaConf.to_container(OmegaConf.from_dotlist(options))
    for option in options:
        name, _, text = option.partition("=")
        if types.get(name) in (str, str | None) and values[name] is not None:
            values[name] = text  # a folder's name may look like a number
    return {name: validate(name, value, types[name]) for name, value in values.items()}


def _without_dashes(argument: str) -> str:
    """Return `some_flag=true` for `--some-flag`, and `name=value` for `--name=value`."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.removeprefix("--").partition("=")
    return f"{name.replace('-', '_')}={value if equals else 'true'}"


@contextmanager
def one_line_errors(show_traceback: bool) -> Iterator[None]:
    """Print an error that a user can mend as one line and exit non-zero; a bug keeps its traceback."""
    accept_any_encoding()
    try:
        yield
    except Stopped as stop:
        sys.exit(_say(str(stop), stop.exit_code))
    except KeyboardInterrupt:
        sys.exit(_say("interrupted", INTERRUPTED))
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        composed = not isinstance(error, MissingConfigException)  # of `debug=` with a wrong name
        sys.exit(_say(f"error: {_message(error)}", 1, show_traceback and composed))
    except OSError as error:
        if error.errno not in MACHINE_ERRORS:
            raise
        sys.exit(_say(f"error: {error.filename or 'a file'}: {error.strerror}", 1, show_traceback))


def _say(line: str, code: int, show_traceback: bool = False) -> int:
    if show_traceback:
        traceback.print_exc()
    print(harmless(line), file=sys.stderr, flush=True)
    return code


def _message(error: Exception, overrides: tuple[str, ...] | None = None) -> str:
    """Return an error as one line that names the key and, where it can, the nearest valid one."""
    typed = sys.argv[1:] if overrides is None else list(overrides)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if group.startswith("hydra/") and name in EXTRAS:
            return f"{group}={name}: not installed; pip install aevq[{EXTRAS[name]}]"
        options = (option for option in error.options or [] if not option.startswith("_"))
        return f"{group}={name}: unknown; {did_you_mean(name, options)}"
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, UserError):  # by a launcher
        return str(error.__cause__)
    text = " ".join(str(error).split("See https://hydra.cc")[0].split())
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value ({text})"
    if match := re.search(r"Could not (?:override|delete from config\.) '([^']+)'", text):
        return f"{match[1]}: no such key in the configuration; {_nearest(match[1], typed)}"
    key = getattr(error, "full_key", None)
    return f"{key}: {str(error).splitlines()[0]}" if key else text


def _nearest(name: str, typed: list[str]) -> str:
    """Return a hint with the key or group nearest to `name` in the configuration that the typed groups compose."""
    groups = [str(path.relative_to(config_root())) for path in config_root().rglob("*") if path.is_dir()]
    if "/" in name:
        return did_you_mean(name, groups)
    chosen = [argument for argument in typed if argument.partition("=")[0] in groups and "," not in argument]
    try:
        keys = [*_keys(OmegaConf.to_container(compose(*chosen))), *groups]
    except (UserError, RecursionError):
        return "`--cfg job` prints all keys"
    # Where only the last part was typed too: `lr` is near `model.optimizer.lr`.
    ends = {key.rpartition(".")[2]: key for key in sorted(keys, key=len, reverse=True)}
    near = (
        get_close_matches(name, keys, n=1, cutoff=0.75)
        or [ends[end] for end in get_close_matches(name, ends, n=1, cutoff=0.75)]
        or get_close_matches(name, keys, n=1)
    )
    return f"did you mean {near[0]!r}?" if near else "`--cfg job` prints all keys"


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from _keys(value, f"{prefix}{key}.")
