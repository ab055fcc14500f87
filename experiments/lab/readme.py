"""Puts what was measured into a README, between the marks that name it."""

from __future__ import annotations

import re
from pathlib import Path

from aevq.errors import UserError
from aevq.files import atomic_write

__all__ = ["put"]


def put(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`.

    Raises:
        UserError: If the file has no such marks, or several.
    """
    before = path.read_text(encoding="utf-8")
    pattern = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)"
    after, count = re.subn(pattern, lambda match: f"{match[1]}{text}\n{match[2]}", before, flags=re.DOTALL)
    if count != 1:
        raise UserError(f"{path}: expected one place for {name!r}, found {count}")
    atomic_write(path, after)
