"""What all commands share: the config root, and errors as one line."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from contextlib import contextmanager
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aevq.config.checks import validate
from aevq.config.instantiate import full_message
from aevq.config.secrets import refuse_typed_secrets
from aevq.config.terminal import harmless, take_any_terminal
from aevq.errors import INTERRUPTED, Stopped, UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["config_root", "hydra_command", "one_line_errors", "options_command", "typed_overrides"]

_OPTION = re.compile(r"[A-Za-z_]+=")  # of a path, the part before a = would have other signs
FLAGS = {  # Hydra's
    *("-h", "--help", "--hydra-help", "--version", "-c", "--cfg", "--resolve", "-p", "--package", "-r", "--run"),
    *("-m", "--multirun", "-sc", "--shell-completion", "-cp", "--config-path", "-cn", "--config-name"),
    *("-cd", "--config-dir", "--experimental-rerun", "-i", "--info"),
}
# What a machine may do to anybody's files, and no bug of ours.
OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def config_root() -> Path:
    """Folder of the yaml files: the checkout's `conf`, else the copy in the installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "conf"
    return checkout if (checkout / "train.yaml").is_file() else package / "conf"


def hydra_command(task: Callable[[DictConfig], Any], config_name: str) -> None:
    """Run `task` as a Hydra application, with errors as one line."""
    # Hydra prints errors its own way and exits; with this variable it raises them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = ["debug=traceback" if argument == "debug=true" else argument for argument in sys.argv[1:]]
    debugging = {"show_traceback=true", *(f"debug={name}" for name in _options("debug"))}
    show_traceback = not debugging.isdisjoint(sys.argv[1:])
    with one_line_errors(show_traceback):
        _refuse_unknown_flags(sys.argv[1:])
        _refuse_groups_of_no_part(sys.argv[1:])
        refuse_typed_secrets(sys.argv[1:])
        failures: list[Exception] = []
        job = _without_hydras_preface(task, failures)
        hydra.main(version_base="1.3", config_path=str(config_root()), config_name=config_name)(job)()
        if failures:
            raise failures[0]


def _without_hydras_preface(
    task: Callable[[DictConfig], Any], failures: list[Exception]
) -> Callable[[DictConfig], Any]:
    """Carry a single run's error past Hydra, which would print its overrides in front of it."""

    def job(config: DictConfig) -> Any:
        try:
            _refuse_dotted_groups()
            return task(config)
        except Stopped as stop:
            if HydraConfig.get().mode == RunMode.MULTIRUN:  # whose launcher knows of exit codes only
                sys.exit(_say(str(stop), stop.exit_code))
            raise
        except Exception as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            failures.append(error)

    return job


def _refuse_unknown_flags(arguments: list[str]) -> None:
    """Hydra would print its usage, many lines of it."""
    for argument in arguments:
        flag = argument.partition("=")[0]
        if flag.startswith("-") and flag not in FLAGS:
            raise UserError(f"{flag}: unknown flag; {did_you_mean(flag, FLAGS)}")


def _refuse_groups_of_no_part(arguments: list[str]) -> None:
    """Catch `model=null`, of which Hydra does not say whose value it is."""
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if equals and not key:
            raise UserError(f"{argument}: expected a key before the =")
        if equals and (config_root() / key).is_dir():
            (override,) = OverridesParser.create().parse_overrides([argument])
            if not override.is_sweep_override() and not isinstance(value := override.value(), str | list):
                raise UserError(f"{key}: expected the name of a part, got {value}; {did_you_mean('', _options(key))}")


def typed_overrides() -> list[Override]:
    """What the command line changes, as typed: an interpolation in a value is left to the configuration."""
    typed: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return OverridesParser.create().parse_overrides(typed)


def _refuse_dotted_groups() -> None:
    """Catch `model.likelihood=laplace`, which would put a word where a part belongs."""
    for override in typed_overrides():
        key = override.key_or_group
        if "." in key and isinstance(override.value(), str) and (config_root() / key.replace(".", "/")).is_dir():
            group = key.replace(".", "/")
            raise UserError(f"{key}: is a group of parts; write {group}={override.value()}")


def options_command(task: Callable[[Any], Any], defaults: Any, words: str | None = None) -> None:
    """Run `task` with options `name=value` from the command line over the dataclass `defaults`.

    Args:
        task: Gets the options, of the class of `defaults`.
        defaults: An instance of a dataclass.
        words: Which option collects the arguments that are no `name=value`, a list; None where there are none such.
    """
    with one_line_errors("debug=true" in sys.argv):
        arguments = [_without_dashes(argument) for argument in sys.argv[1:] if argument != "debug=true"]
        options = {option.name: getattr(defaults, option.name) for option in fields(defaults)}
        if "help=true" in arguments or "-h" in arguments:
            print(f"{(type(defaults).__doc__ or '').strip()}\n\nOptions and their defaults:")
            print("".join(f"  {name}={'null' if value is None else value}\n" for name, value in options.items()))
            return
        given = [argument for argument in arguments if words is None or _OPTION.match(argument)]
        for argument in given:
            name = argument.split("=", 1)[0].split(".")[0]
            if "=" not in argument:
                raise UserError(f"{argument!r}: expected name=value")
            if name not in options:
                raise UserError(f"{name}: unknown option; {did_you_mean(name, options)}")
        typed: Any = OmegaConf.to_container(OmegaConf.from_dotlist(given))
        types = get_type_hints(type(defaults), include_extras=True)
        for name, value in typed.items():
            if types[name] in (str, str | None) and isinstance(value, int | float) and not isinstance(value, bool):
                typed[name] = str(value)  # a text may look like a number, as a folder's name does
            validate(name, typed[name], types[name])
        if words:
            typed[words] = [argument for argument in arguments if argument not in given]
        task(replace(defaults, **typed))


def _without_dashes(argument: str) -> str:
    """`--some-flag` is short for `some_flag=true`, and `--name=value` for `name=value`."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.removeprefix("--").partition("=")
    return f"{name.replace('-', '_')}={value if equals else 'true'}"


@contextmanager
def one_line_errors(show_traceback: bool) -> Iterator[None]:
    """Print what a user can mend as one line and exit non-zero; a bug keeps its traceback."""
    take_any_terminal()
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
        if show_traceback:
            traceback.print_exc()
        sys.exit(_say(f"error: {_message(error)}", 1))
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        if show_traceback:
            traceback.print_exc()
        sys.exit(_say(f"error: {error.filename or 'a file'}: {error.strerror}", 1))


def _say(line: str, code: int) -> int:
    print(harmless(line), file=sys.stderr, flush=True)
    return code


def _message(error: Exception) -> str:
    """The error as one line that names the key and, where it can, the nearest valid one."""
    if isinstance(error, InstantiationException):
        cause = error.__cause__
        return _message(cause) if isinstance(cause, UserError) else full_message(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return f"{group}={name}: unknown; {did_you_mean(name, error.options or _options(group))}"
    text = " ".join(str(error).split("See https://hydra.cc")[0].split())
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value ({text})"
    if match := re.search(r"Could not (?:override|delete from config\.) '([^']+)'", text):
        return f"{match[1]}: no such key in the configuration; {_nearest_key(match[1])}"
    key = getattr(error, "full_key", None)
    return f"{key}: {str(error).splitlines()[0]}" if key else text


def _options(group: str) -> list[str]:
    return [path.stem for path in (config_root() / group).glob("*.yaml")]


def _nearest_key(name: str) -> str:
    """The nearest key to `name` in the configuration that the command line's groups compose."""
    if "/" in name:
        folders = sorted(path for path in config_root().rglob("*") if path.is_dir())
        return did_you_mean(name, (str(path.relative_to(config_root())) for path in folders))
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(config_root()), version_base="1.3"):
            parsed = OverridesParser.create().parse_overrides([a for a in sys.argv[1:] if "=" in a])
            groups = [o.input_line or "" for o in parsed if (config_root() / o.key_or_group).is_dir()]
            config = hydra.compose("train", groups)
    except Exception:
        return "`--cfg job` prints all keys"
    return nearest_key(name, [*_keys(OmegaConf.to_container(config)), *(p.name for p in config_root().iterdir())])


def nearest_key(name: str, keys: list[str]) -> str:
    """The nearest key, where only its last part was typed too: `lr` is near `model.optimizer.lr`."""
    last = get_close_matches(name, {key.rpartition(".")[2] for key in keys}, n=1, cutoff=0.75)
    full = min((key for key in keys if last and key.rpartition(".")[2] == last[0]), key=len, default=None)
    near = get_close_matches(name, keys, n=1, cutoff=0.75) or ([full] if full else get_close_matches(name, keys, n=1))
    return f"did you mean {near[0]!r}?" if near else "`--cfg job` prints all keys"


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from _keys(value, f"{prefix}{key}.")
