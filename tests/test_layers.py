"""Imports between rooms follow the layers of `pyproject.toml`, and no module imports itself through others."""

import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp


def test_imports_point_down_and_siblings_do_not_see_each_other():
    # In a process of its own: import-linter reconfigures logging for the whole process.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_import_cycle():
    """Imports inside functions count; those for type checkers only do not."""
    graph = grimp.build_graph("aevq", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert set(TopologicalSorter(imports).static_order()) == graph.modules  # a cycle is a CycleError
