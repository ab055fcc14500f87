"""Generated text in a README stands between marks that name it: `<!-- name -->` and `<!-- /name -->`."""

import re
from pathlib import Path

from aevq.errors import UserError
from aevq.files import atomic_write

__all__ = ["between", "put"]


def between(path: Path, name: str) -> str:
    """Return the text between the marks.

    Raises:
        UserError: If the file does not have these marks exactly once.
    """
    return _find(path, name)[1]


def put(path: Path, name: str, text: str) -> None:
    """Replace the text between the marks.

    Raises:
        UserError: If the file does not have these marks exactly once.
    """
    before, _, after = _find(path, name)
    atomic_write(path, before + text + after)


def _find(path: Path, name: str) -> tuple[str, str, str]:
    """Split a file into the text before, between and after the marks."""
    content = path.read_text(encoding="utf-8")
    first, last = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    found = list(re.finditer(f"{re.escape(first)}(.*?){re.escape(last)}", content, flags=re.DOTALL))
    if len(found) != 1:
        raise UserError(f"{path}: expected one place for {name!r}, found {len(found)}")
    return content[: found[0].start(1)], found[0][1], content[found[0].end(1) :]
