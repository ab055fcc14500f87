"""The house keeps its floors."""

import subprocess
import sys
from pathlib import Path


def test_imports_point_down_and_siblings_do_not_see_each_other():
    # In a process of its own: import-linter reconfigures logging for the whole process.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
