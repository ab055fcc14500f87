"""What was measured stands in a README between the marks that name it: `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations

import re
from pathlib import Path

from aevq.errors import UserError
from aevq.files import atomic_write

__all__ = ["between", "put"]


def between(path: Path, name: str) -> str:
    """What stands between the marks.

    Raises:
        UserError: If the file has no such marks, or several.
    """
    return _find(path, name)[1]


def put(path: Path, name: str, text: str) -> None:
    """Replace what stands between the marks.

    Raises:
        UserError: If the file has no such marks, or several.
    """
    before, _, after = _find(path, name)
    atomic_write(path, before + text + after)


def _find(path: Path, name: str) -> tuple[str, str, str]:
    """The file before, between and behind the marks."""
    content = path.read_text(encoding="utf-8")
    first, last = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    found = re.findall(f"{re.escape(first)}.*?<!-- /{re.escape(name)} -->", content, flags=re.DOTALL)
    if len(found) != 1:
        raise UserError(f"{path}: expected one place for {name!r}, found {len(found)}")
    before, _, rest = content.partition(first)
    text, _, after = rest.partition(last) if last in rest else ("", "", rest.partition(last[1:])[2])
    return before + first, text, last + after
