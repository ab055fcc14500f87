"""Configuration of Sphinx; `make docs` builds the site."""

import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import generate  # noqa: E402

from experiments.common.results import has_results, read_results  # noqa: E402
from experiments.summaries import PRESETS, preset  # noqa: E402

project, author = "aevq", "The aevq authors"
copyright = "2026, The aevq authors"
version = release = importlib.metadata.version("aevq")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme, html_title = "furo", "aevq"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
highlight_language = "text"
default_role = "code"  # docstrings write `name`
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_inherit_docstrings = False  # Lightning's hooks are described by Lightning
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
myst_enable_extensions = ["substitution", "deflist"]
myst_heading_anchors = 3


def numbers(study: str) -> dict[str, dict[str, str]]:
    """Return mean ± standard deviation of every metric of a study, by the label of a group and the metric's name."""
    results = read_results(ROOT / "experiments" / study)
    return {
        label: {name: str(results.get(label, name)) for name in results.of(label)[0].metrics}
        for label in results.labels
    }


# {{ study1["AE"]["reconstruction/mse"] }} in a page is the number of the results file.
folders = sorted(path for path in (ROOT / "experiments").glob("[0-9]*") if has_results(path))
myst_substitutions = {f"study{int(folder.name[:2])}": numbers(folder.name) for folder in folders}

# The same for the runs of presets: {{ preset["vqvae_prior_best"]["samples/transformer/fd"] }}.
presets = json.loads(PRESETS.read_text(encoding="utf-8"))
myst_substitutions["preset"] = {
    name: {metric: str(preset(name, metric)) for metric in run["metrics"]} for name, run in presets.items()
}
SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:", "Yields:", "Example:", "Examples:")


def to_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText: indented formulas become literal blocks, and `|` stands for itself."""
    found, literal = list[str](), False
    for line in lines:
        before = next((each for each in reversed(found) if each), "")
        if not line.startswith("    "):
            literal = literal and not line
        elif before and not before.startswith(" ") and before not in SECTIONS:
            literal = True
            found += ["", "::", ""]
        found.append(line if literal else re.sub(r"(`[^`]*`)|\|", lambda m: m[1] or r"\|", line))
    lines[:] = found


def setup(app: Any) -> None:
    """Write the generated pages before the sources are read."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    app.connect("builder-inited", generate.write)
    app.connect("autodoc-process-docstring", to_rst, priority=400)  # before napoleon
