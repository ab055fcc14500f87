"""Commands of the package, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def run_command(name: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m aevq.<name>` in a folder, with further variables in its environment."""
    return subprocess.run(
        [sys.executable, "-m", f"aevq.{name}", *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
