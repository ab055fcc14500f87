"""What all commands share: where the yaml files are, options `name=value`, and errors as one line."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
import traceback
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_type_hints

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aevq.config.rank import ignore_stray_ranks
from aevq.config.terminal import accept_any_encoding
from aevq.errors import INTERRUPTED, Stopped, UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hydra.core.override_parser.types import Override

# Plugins of Hydra, and the extra of this package that installs each.
EXTRAS = {"optuna": "optuna"} | dict.fromkeys(("joblib", "submitit_local", "submitit_slurm"), "launchers")
_OPTION = re.compile(r"[A-Za-z_]+=")  # in a path, what stands before a = has other characters
# Problems of the machine's files, not bugs.
MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG}
# Flags of Hydra that are followed by a value.
VALUED = (
    *("--cfg", "-c", "--package", "-p", "--info", "-i", "--experimental-rerun"),
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
)
REFUSED = {
    "hydra.run.dir": "aevq names the folder of a run itself; paths.runs=<folder> says where it is created",
    "hydra.sweep.subdir": "aevq names the folders of jobs itself; hydra.sweep.dir=<folder> is that of the sweep",
}


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
        sys.argv[1:] = _as_hydra_reads_them(sys.argv[1:])
        try:
            hydra.main(version_base="1.3", config_path=str(config_root()), config_name=config_name)(job)()
        except ValueError as error:  # Hydra's, from composing: the job's own are in `raised`
            raise UserError(_message(error)) from error
        if raised:
            raise raised[0]


def _as_hydra_reads_them(arguments: list[str]) -> list[str]:
    """Return the arguments of a command with the flags first, wherever they were typed.

    Hydra composes a sweep once with the default of a swept group, which may lack a key that the choices have. So a
    value below a swept group becomes a sweep over this one value, which only the jobs are composed with.
    """
    values = [i + 1 for i, argument in enumerate(arguments) if argument in VALUED]
    flags = [argument for i, argument in enumerate(arguments) if argument.startswith("-") or i in values]
    typed = [argument for i, argument in enumerate(arguments) if not (argument.startswith("-") or i in values)]
    for name in (override.lstrip("+~").partition("=")[0] for override in typed):
        if name in REFUSED and os.environ.get("LOCAL_RANK", "0") == "0":  # Lightning adds it for the other processes
            raise UserError(f"{name}: {REFUSED[name]}")
    if not {"-m", "--multirun"} & {*flags}:
        return [*flags, *typed]
    parsed = parse_overrides(typed)
    below = tuple(f"{one.key_or_group}{end}" for one in parsed if one.is_sweep_override() for end in "./")
    return flags + [
        f"{one.get_key_element()}=choice({value})"
        if one.key_or_group.startswith(below) and not one.is_sweep_override() and one.value() not in (None, "")
        else override
        for override, one in zip(typed, parsed, strict=True)
        for value in [override.partition("=")[2]]
    ]


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Return overrides such as `model=vae`, parsed; a `UserError` names one that is none."""
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise UserError(_message(error, tuple(overrides))) from error


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

    types, texts, others = get_type_hints(type(defaults), include_extras=True), dict[str, Any](), OmegaConf.create()
    for option in options:
        key, equals, text = option.partition("=")
        name = key.partition(".")[0]
        if not equals:
            raise UserError(f"{option!r}: expected name=value")
        if name not in types:
            raise UserError(f"{name}: unknown option; {did_you_mean(name, types)}")
        if types.get(key) in (str, str | None):  # a folder's name may look like a number
            texts[name] = None if text in ("", "null") else text
            continue
        yaml_value(key, text)
        others.merge_with_dotlist([option])
    values: Any = OmegaConf.to_container(others)
    return {str(name): validate(str(name), value, types[name]) for name, value in (values | texts).items()}


def yaml_value(key: str, text: str) -> Any:
    """Return the value that a text stands for; a `UserError` that begins with `key` if YAML cannot read it."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{key}: expected a value that YAML can read, got {text!r}") from error


def _without_dashes(argument: str) -> str:
    """Return `some_flag=true` for `--some-flag`, and `name=value` for `--name=value`."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.removeprefix("--").partition("=")
    return f"{name.replace('-', '_')}={value if equals else 'true'}"


@contextmanager
def one_line_errors(show_traceback: bool) -> Iterator[None]:
    """Print an error that a user can correct as one line and exit non-zero; a bug keeps its traceback."""
    accept_any_encoding()
    ignore_stray_ranks()
    parsers: Any = argparse.ArgumentParser
    print_usage, parsers.error = parsers.error, _refuse
    try:
        for argument in sys.argv[1:]:
            if argument != argument.encode(errors="ignore").decode():
                raise UserError(f"{argument}: expected text in UTF-8")
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
    finally:
        parsers.error = print_usage


def _refuse(self: argparse.ArgumentParser, message: str) -> NoReturn:
    """Raise an error where argparse would print the usage of Hydra's flags."""
    raise UserError(message)


def _say(line: str, code: int, show_traceback: bool = False) -> int:
    if show_traceback:
        traceback.print_exc()
    print(line, file=sys.stderr, flush=True)
    return code


def _message(error: Exception, overrides: tuple[str, ...] | None = None) -> str:
    """Return an error as one line that names the key and, where it can, the nearest valid one."""
    typed = sys.argv[1:] if overrides is None else list(overrides)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if not group:
            return f"--config-name: there is no {name}.yaml"
        if group.startswith("hydra/") and name in EXTRAS:
            return f"{group}={name}: not installed; pip install aevq[{EXTRAS[name]}]"
        ours = (path.stem for path in (config_root() / group).glob("*.yaml"))  # Hydra lists none for group=[name]
        options = (option for option in error.options or ours if not option.startswith("_"))
        return f"{group}={name}: unknown; {did_you_mean(name, options)}"
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, UserError):  # by a launcher
        return str(error.__cause__)
    text = " ".join(str(error).split("See https://hydra.cc")[0].split())
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value ({text})"
    if match := re.search(r"Could not (?:override|delete from config\.) '([^']+)'", text):
        for swept in (argument for argument in typed if "," in argument):
            if re.match(re.escape(swept.partition("=")[0]) + "[./]", match[1]):
                return f"{match[1]}: not every job of {swept} has this key"
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
