"""The pages of the site that are made of the code: configuration, commands, metrics, and the studies of experiments/.

Sphinx calls `write` before it reads the sources; the pages go to `docs/generated`, which git ignores.
"""

import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import annotated_types as limits
import yaml

from aevq import compare, dashboard, evaluate, sample
from aevq.data import ImageDataModule
from aevq.metrics.catalogue import ARROWS, SECTIONS, of_section
from aevq.training.parts import RunConfig

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
GENERATED = Path(__file__).parent / "generated"

GROUPS = {
    "model": "The models. A model names its parts by choices of the subgroups below.",
    "model/network": "The encoder and the decoder of a model.",
    "model/likelihood": "p(x|z), the distribution that the decoder's output describes.",
    "model/codebook_update": "How the codebook of a VQ-VAE learns.",
    "model/optimizer": "The optimizer of the model's training.",
    "model/schedule": "The learning rate schedule of the model's training.",
    "prior": "The distributions that latents are sampled from; one, or several: `prior=[standard_normal,mixture]`.",
    "data": "The data sets.",
    "trainer": "The arguments of Lightning's `Trainer`: device, number of processes and length of the training.",
    "logger": "Where curves go, besides the terminal.",
    "callbacks": "What happens during a training.",
    "debug": "Short and talkative runs.",
    "experiment": "Prepared runs and sweeps. Each header states the question, the command and the expected result.",
    "hydra/launcher": "Where the jobs of a sweep run. The default, `process`, starts each job as a process here.",
}
MEANINGS = {  # of keys of parts that another yaml chooses
    "lr": "Learning rate of the optimizer",
}
COMMANDS = {"evaluate": evaluate, "sample": sample, "compare": compare, "dashboard": dashboard}


# Constructors


def arguments(cls: Any) -> dict[str, inspect.Parameter]:
    """Return the constructor arguments of a class, with those that it passes on to its bases."""
    if dataclasses.is_dataclass(cls):
        kind = inspect.Parameter.KEYWORD_ONLY
        return {
            name: inspect.Parameter(name, kind, annotation=hint)
            for name, hint in typing.get_type_hints(cls, include_extras=True).items()
        }
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__ if inspect.isclass(cls) else [cls]:
        if inspect.isclass(base) and "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__ if inspect.isclass(base) else base).parameters.values()
        hints = _hints(base)
        for parameter in parameters:
            if parameter.name in hints:
                found.setdefault(parameter.name, parameter.replace(annotation=hints[parameter.name]))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return {name: p for name, p in found.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def _hints(base: Any) -> dict[str, Any]:
    function = base.__init__ if inspect.isclass(base) else base
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError:  # a name that is imported for type checkers only
        return dict(function.__annotations__)


@cache
def meanings(cls: Any) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say of each argument."""
    found: dict[str, str] = {}
    for base in (cls.__mro__ if inspect.isclass(cls) else [cls])[::-1]:
        text = inspect.cleandoc((vars(base).get("__doc__") if inspect.isclass(base) else base.__doc__) or "")
        text += "\n" + inspect.cleandoc((inspect.isclass(base) and base.__init__.__doc__) or "")
        for section in re.findall(r"^(?:Args|Attributes|Arguments):\n((?:^[ ].*\n|^\n)+)", text + "\n", re.M):
            items = re.split(r"^(\**\w+)(?: \([^\n]*?\))?:", textwrap.dedent(section), flags=re.M)[1:]
            for name, about in zip(items[::2], items[1::2], strict=True):
                found[name] = " ".join(about.split("\n\n")[0].split())
    return found


def type_text(hint: Any) -> str:
    """Return a type in words: `int > 0`, `none or float ≥ 0`, `"mean" or "draw"`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in (inspect.Parameter.empty, Any):
        return ""
    if origin is typing.Annotated:
        bounds = [text for limit in hint.__metadata__ if (text := _bound(limit))]
        return " ".join([type_text(args[0]), ", ".join(bounds)]).strip()
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_text(arg) for arg in args))
    if origin is typing.Literal:
        return " or ".join(dict.fromkeys(f"`{arg}`" for arg in args))
    if origin in (tuple, list):
        items = [arg for arg in args if arg is not ...]
        return f"list of {f'{len(items)} ' if origin is tuple and ... not in args else ''}{type_text(items[0])}"
    if origin is dict:
        return "mapping"
    if hint is types.NoneType:
        return "`null`"
    return getattr(hint, "__name__", str(hint).replace("typing.", "")).replace("StrictBool", "bool")


def _bound(limit: Any) -> str:
    signs = {limits.Gt: ">", limits.Ge: "≥", limits.Lt: "<", limits.Le: "≤"}
    value = next((getattr(limit, field) for field in ("gt", "ge", "lt", "le") if hasattr(limit, field)), None)
    if type(limit) in signs:
        return f"{signs[type(limit)]} {'2³²' if value == 2**32 else value}"
    return "odd" if "odd" in getattr(getattr(limit, "func", None), "__name__", "") else ""


# Yaml files


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of a yaml file: its name with those above it, its value and its comment."""

    name: str
    value: Any
    comment: str
    owner: Any = None  # the class that takes it as an argument


def read(path: Path) -> tuple[str, list[Any], list[Key]]:
    """Return the header of a yaml file, its list of defaults and its keys."""
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("# @package")]
    header = []
    while lines and lines[0].startswith("#"):
        header.append(lines.pop(0).removeprefix("#").removeprefix(" "))
    content = yaml.safe_load(text) or {}
    defaults = content.pop("defaults", [])
    return "\n".join(header), defaults, list(_keys(content, _comments(lines), _owner(path)))


def _owner(path: Path) -> Any:
    """Return the class that takes the keys of a yaml file; of a file that changes another one, the class of that."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if target := content.get("_target_"):
        return ImageDataModule if target == "???" else resolve_name(target)
    based = [each for each in content.get("defaults", []) if isinstance(each, str) and each != "_self_"]
    owners = [_owner(path.with_name(f"{each}.yaml")) for each in based if path.with_name(f"{each}.yaml").is_file()]
    return next(filter(None, owners), None)


def _comments(lines: Iterable[str]) -> dict[str, str]:
    """Return the comments on the line of a key or on those before it, by the whole name of the key."""
    found, above, place = {}, "", list[tuple[int, str]]()
    for line in lines:
        if match := re.match(r"^( *)([\w/@]+):(?: |$)(?:.*?\s#\s(.*))?", line):
            indent, name, comment = len(match[1]), match[2], match[3]
            place = [(depth, part) for depth, part in place if depth < indent] + [(indent, name)]
            found[".".join(part for _, part in place)] = (comment or above).strip()
            above = ""
        else:
            above = f"{above} {line.strip().removeprefix('# ')}" if line.strip().startswith("#") else ""
    return found


def _keys(node: dict[str, Any], comments: dict[str, str], owner: Any, above: str = "") -> Iterator[Key]:
    for name, value in node.items():
        whole = f"{above}{name}"
        if isinstance(value, dict) and value:
            target = value.get("_target_")
            yield from _keys(value, comments, resolve_name(target) if target else None, f"{whole}.")
        elif name == "_target_" or not name.startswith("_"):
            yield Key(whole, value, comments.get(whole, ""), owner)


def section(group: str, path: Path) -> str:
    """Return the part of a page that describes one yaml file."""
    name = path.stem
    header, defaults, keys = read(path)
    if group in ("experiment", "debug", "hydra/launcher"):
        source = path.relative_to(GENERATED.parents[1])
        return f"## {name}\n\n```{{literalinclude}} /../{source}\n:language: yaml\n```\n"
    family = group in ("prior", "logger", "callbacks")
    key_of_group = group.replace("/", ".")
    rows = []
    based = [each for each in defaults if isinstance(each, str) and each != "_self_"]
    for choice in (each for each in defaults if isinstance(each, dict)):
        for part, chosen in choice.items():
            option = part.removeprefix("override ").removeprefix("/").partition("@")[0]
            whole = option if part.startswith("override /") else f"{group}/{option}"
            rows.append((whole, "choice", _value(chosen), f"Options: [{whole}]({page_name(whole)})"))
    targets = [key.value for key in keys if key.name.endswith("_target_") and key.name.count(".") <= family]
    target = targets[0] if len(targets) == 1 else None
    for key in keys:
        if not key.name.endswith("_target_"):
            rows.append(_row(f"{key_of_group}.{key.name}", key))
    if target and target.startswith("aevq.") and not based:
        given = {part for key in keys for part in key.name.split(".")}
        prefix = f"{key_of_group}.{name}" if family else key_of_group
        groups = {part.partition(".")[2] for part in (g.replace("/", ".") for g in GROUPS)}
        for argument, parameter in arguments(resolve_name(target)).items():
            if argument not in {*given, *groups, "spec"} and not callable(parameter.default):
                extra = Key(argument, parameter.default, "", resolve_name(target))
                rows.append(_row(f"+{prefix}.{argument}", extra))
    lines = [f"## {name}", ""]
    lines += [header, ""] if header else []
    facts = [f"Class{'es' * (len(targets) > 1)}: {', '.join(map(_class, targets))}."] if targets else []
    if based:
        links = ", ".join(f"[{each}](./{page_name(group)}#{each})" for each in based)
        facts.append(f"Has the keys of {links}; those below differ or come on top.")
    lines += [" ".join(facts), ""] if facts else []
    return "\n".join([*lines, *_table(("key", "type", "default", "meaning"), rows), ""])


def _row(name: str, key: Key) -> tuple[str, str, str, str]:
    short = key.name.rpartition(".")[2]
    parameter = arguments(key.owner).get(short) if key.owner else None
    kind = type_text(parameter.annotation) if parameter else type(key.value).__name__ if key.value is not None else ""
    about = meanings(key.owner).get(short, "") if key.owner else ""
    if key.owner is not None and not key.owner.__module__.startswith("aevq"):
        about = re.split(r"(?<=[^.][a-z`)])\. |\n", about)[0].rstrip(".") + "." if about else ""
    ours = key.owner is not None and key.owner.__module__.startswith("aevq")
    about = _sentence((ours and about) or key.comment or about or MEANINGS.get(short, ""))
    return f"`{name}`", "object" if "Callable" in kind else kind, _value(key.value), about


def _sentence(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    text = re.sub(r" \(default: [^)]*\)", "", text).strip()
    first = text[:1].upper() if text[:1].isascii() else text[:1]
    return f"{first}{text[1:]}".rstrip(".") + "." if text else ""


def _value(value: Any) -> str:
    if isinstance(value, str) and value.startswith("${"):
        return f"`{value}`"
    if value is inspect.Parameter.empty:
        return ""
    texts = {None: "null", True: "true", False: "false"}
    if isinstance(value, list | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{texts.get(value, value) if isinstance(value, bool | None) else value}`"


def _class(target: str) -> str:
    return "set by each data set" if target == "???" else f"`{target}`"


def page_name(group: str) -> str:
    """Return the file of a group's page."""
    return f"config-{group.replace('/', '-').replace('_', '-')}.md"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    found = list(rows)
    if not found:
        return []
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in found]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)]


# Pages


def group_page(group: str) -> str:
    """Return the page of a group of the configuration."""
    files = sorted((CONF / group).glob("*.yaml"), key=lambda path: path.stem)
    first = next(path.stem for path in files if not path.stem.startswith("_"))
    use = f"python -m aevq.train {'-m ' if 'launcher' in group else ''}{group}={first}"
    head = [f"# {group}", "", GROUPS[group], "", f"For example: `{use}`.", ""]
    return "\n".join([*head, *(section(group, path) for path in files)])


def configuration_page() -> str:
    """Return the page of `conf/train.yaml`."""
    _, _, keys = read(CONF / "train.yaml")
    rows = []
    for key in keys:
        if key.name.startswith("hydra.") or key.name.endswith("_target_"):
            continue
        row = _row(key.name, key)
        hint = RunConfig.model_fields.get(key.name)
        rows.append((row[0], type_text(_whole(hint)) if hint else row[1], *row[2:]))
    groups = [f"- [{group}]({page_name(group)}): {about}" for group, about in GROUPS.items()]
    toc = ["```{toctree}", ":hidden:", "", *(page_name(group).removesuffix(".md") for group in GROUPS), "```"]
    text = """# Configuration

Every key of a run, made of `conf/*.yaml` and of the constructors that the yaml files name. A key is set on the command
line by `key=value`, and a group's option by `group=option`. A key that the yaml does not list is marked by a `+` here
and is set by `+key=value`. `python -m aevq.train --cfg job` prints the configuration of a run, `--help` the groups.

A value such as `${seed}` is that of another key. Types are checked strictly: `"8"` and `8.0` are not integers.

## Groups
"""
    return "\n".join([text, *groups, "", *toc, "", "## Keys of a run", "", *_table(HEAD, rows), ""])


HEAD = ("key", "type", "default", "meaning")


def _whole(field: Any) -> Any:
    return typing.Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def metrics_page() -> str:
    """Return the page of the metric catalogue."""
    goals = {**ARROWS, None: "–"}
    parts = [
        """# Metrics

Every metric that a run logs or records, from `aevq.metrics.catalogue`. A word in angle brackets stands for any word:
`samples/<prior>/fd` describes `samples/mixture/fd`. ↓: lower is better; ↑: higher is better; → 1: near one is better.
[The measuring protocol](/explanation/protocol.md) says how the metrics are computed.
"""
    ]
    for name in SECTIONS:
        if metrics := of_section(name):
            rows = [(f"`{m.name}`", _text(m.title), m.unit, goals[m.goal], _text(m.about)) for m in metrics]
            parts += [f"## {name}", "", *_table(("name", "title", "unit", "better", "meaning"), rows), ""]
    return "\n".join(parts)


def _text(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def commands_page() -> str:
    """Return the page of the commands and their options."""
    parts = [
        """# Commands

`python -m aevq.train` takes [the configuration](config.md) as `key=value`, and Hydra's flags (`-m`, `--cfg job`,
`--config-dir`, `--help`). The other commands take the options below. `aevq-train`, `aevq-evaluate`, `aevq-sample`,
`aevq-compare` and `aevq-dashboard` are the same commands.
"""
    ]
    for name, module in COMMANDS.items():
        options = module.Options
        first, _, rest = inspect.cleandoc(options.__doc__ or "").partition("\n\n")
        examples = rest.partition("Attributes:")[0].strip()
        about = meanings(options)
        fields = [
            (f"`{f.name}`", type_text(hint), _value(getattr(options(), f.name)), _sentence(about.get(f.name, "")))
            for f in dataclasses.fields(options)
            for hint in [typing.get_type_hints(options, include_extras=True)[f.name]]
        ]
        head = [f"## aevq.{name}", "", _text(first), "", "```text", examples, "```", ""]
        parts += [*head, *_table(("option", "type", "default", "meaning"), fields), ""]
    return "\n".join(parts)


def study_page(folder: Path) -> str:
    """Return the README of a folder of experiments/, with its links and images as the site has them."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[([^\]]*)\]\(([^)/]+)\)", rf"![\1](/../experiments/{folder.name}/\2)", text)
    text = re.sub(r"\]\((?:\.\./)?(\w+)\)", r"](study-\1.md)", text)
    return text.replace("README.md#", "#")


def pages() -> dict[str, str]:
    """Return all generated pages, by the names of their files."""
    found = {page_name(group): group_page(group) for group in GROUPS}
    found |= {"config.md": configuration_page(), "metrics.md": metrics_page(), "commands.md": commands_page()}
    folders = sorted(path.parent for path in (ROOT / "experiments").glob("*/README.md"))
    found |= {f"study-{folder.name}.md": study_page(folder) for folder in folders}
    index = study_page(ROOT / "experiments").replace("`common`", "`experiments/common`")
    names = [f"study-{folder.name}" for folder in folders]
    return found | {"studies.md": "\n".join([index, "", "```{toctree}", ":hidden:", "", *names, "```", ""])}


def write(*_: Any) -> None:
    """Write the pages; a file that has this text already keeps its time, so that Sphinx does not read it again."""
    GENERATED.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = GENERATED / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
