"""The pages of docs/: their links, commands, numbers and code, and the site that they make."""

import ast
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
import yaml

from aevq import compare, dashboard, evaluate, sample
from aevq.config.command_line import compose, options_command, parse_overrides
from helpers.small_runs import QUICK

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if not {"_build", "generated"} & {*path.parts}]
OPTIONS = {"evaluate": evaluate, "sample": sample, "compare": compare, "dashboard": dashboard}
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.M | re.S)


@pytest.fixture(scope="module")
def conf():
    return runpy.run_path(str(DOCS / "conf.py"))


@pytest.fixture(scope="module")
def texts(conf):
    """Every page, written or generated, by the path of its file."""
    generated = {DOCS / "generated" / name: text for name, text in conf["generate"].pages().items()}
    return {path: path.read_text() for path in PAGES} | generated


def blocks(path, language):
    return [text for found, text in FENCE.findall(path.read_text()) if found == language]


def commands(path):
    """The command lines of a page: of its shell blocks, and of the indented ones without placeholders."""
    indented = re.findall(r"^    (python -m aevq\..*?)(?:  +#.*)?$", path.read_text(), re.M)
    lines = [line for block in blocks(path, "bash") for line in block.splitlines()]
    return [*lines, *(line for line in indented if not re.search(r"[<…]", line))]


# Links and files


def test_links_and_images_lead_to_files_and_headings(texts):
    broken = []
    for page, text in texts.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
            file, _, anchor = target.partition("#")
            if "://" in target:
                continue
            path = (DOCS / file[1:] if file.startswith("/") else page.parent / file).resolve() if file else page
            headings = re.findall(r"^#+ (.*)$", FENCE.sub("", texts.get(path, "")), re.M)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            if not (path in texts or path.is_file()) or (anchor and anchor not in slugs):
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_included_files_have_what_is_included():
    for page in PAGES:
        for file, options in re.findall(r"^```\{(?:literal)?include\} (.*)\n((?::.*\n)*)", page.read_text(), re.M):
            text = (page.parent / file).read_text()
            given = dict(re.findall(r"^:([\w-]+): ?(.*)$", options, re.M))
            for mark in ("start-after", "end-before"):
                assert given.get(mark, "").strip('"') in text, f"{page.name}: {file}"
            names = {node.name for node in ast.walk(ast.parse(text)) if hasattr(node, "name")} if ".py" in file else ()
            assert {*given.get("pyobject", "").split(".")} <= {"", *names}, f"{page.name}: {file}"


def test_numbers_are_in_the_results(texts, conf):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    found = [number for path in PAGES for number in re.findall(r"\{\{.*?\}\}", texts[path])]
    assert len(found) > 50
    for number in found:
        assert environment.from_string(number).render(conf["myst_substitutions"]) not in ("", "None"), number


# Commands and code


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_are_accepted(page, monkeypatch):
    for line in commands(page):
        words = [word for word in shlex.split(line, comments=True) if word != "-m"]
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M), line
        elif words[0] == "python" and "mypackage" not in line:  # those are run by tests/test_recipes.py
            name, arguments = words[1].removeprefix("aevq."), words[2:]
            if name == "train":
                check_overrides(arguments)
            else:
                monkeypatch.setattr(sys, "argv", [name, *arguments])
                seen = []
                options_command(seen.append, OPTIONS[name].Options(), "folders" if name == "compare" else None)
                assert seen, line


def check_overrides(arguments):
    """Compose a command, of a sweep its first job; what changes a run is parsed only."""
    folder = arguments[arguments.index("--config-dir") + 1] if "--config-dir" in arguments else None
    overrides = [argument for argument in arguments if not argument.startswith("--") and argument != folder]
    parsed = parse_overrides(overrides)
    if not any(override.key_or_group.startswith(("resume", "hydra.")) for override in parsed) and folder is None:
        compose(*map(first_value, parsed))


def first_value(override):
    if not override.is_sweep_override():
        return override.input_line
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"


def test_the_chinese_page_has_the_commands_of_the_english_ones():
    english = [*blocks(DOCS / "tutorial/first-run.md", "bash"), *blocks(DOCS / "tutorial/ae-vae-vqvae.md", "bash")]
    assert blocks(DOCS / "tutorial/zh.md", "bash") == english


def test_the_experiment_of_the_how_to_composes(tmp_path):
    (block,) = blocks(DOCS / "how-to/sweeps.md", "yaml")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/wide.yaml").write_text(block)
    assert compose("experiment=wide", config_dir=str(tmp_path)).model._target_ == "aevq.models.AE"


def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    text = "\n".join(blocks(DOCS / "how-to/python.md", "python"))
    smaller = {
        '"data=mnist5k", "trainer.max_steps=100"': ", ".join(map(repr, QUICK)),
        "Trainer(max_steps=200)": "Trainer(max_steps=2, limit_val_batches=0, logger=False, enable_checkpointing=False)",
    }
    for written, small in smaller.items():
        assert written in text
        text = text.replace(written, small)
    exec(compile(text, "python.md", "exec"), {})


# The generated pages


def test_every_yaml_is_described(conf):
    generate = conf["generate"]
    groups = {str(path.parent.relative_to(ROOT / "conf")) for path in (ROOT / "conf").rglob("*.yaml")} - {"."}
    assert groups == {*generate.GROUPS}
    for group in groups:
        page = generate.group_page(group)
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            assert f"## {path.stem}\n" in page


def test_every_key_has_a_meaning(texts):
    without = [
        f"{path.name}: {line}"
        for path, text in texts.items()
        if path.name.startswith(("config", "commands"))
        for line in text.splitlines()
        if line.startswith("| `") and line.endswith("|  |")
    ]
    assert without == []


def test_the_keys_of_a_run_are_on_the_page_of_the_configuration(texts):
    page = texts[DOCS / "generated/config.md"]
    keys = yaml.safe_load((ROOT / "conf/train.yaml").read_text())
    assert all(f"| `{key}" in page for key in keys if key not in ("defaults", "hydra"))


# The site


@pytest.mark.slow
def test_the_site_is_built_without_warnings(tmp_path):
    pytest.importorskip("sphinx", reason="the documentation's packages are not installed")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "searchindex.js").stat().st_size > 10_000
    remote = re.compile(r"""<(?:script|link|img)[^>]*(?:src|href)=["'](?:https?:)?//""")
    assert not [page.name for page in tmp_path.rglob("*.html") if remote.search(page.read_text())]
