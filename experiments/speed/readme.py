"""Puts measured tables into README.md, between the marks that name them."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["put"]

README = Path(__file__).with_name("README.md")


def put(name: str, text: str, path: Path = README) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`."""
    before = path.read_text(encoding="utf-8")
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    after, count = re.subn(pattern, lambda match: f"{match[1]}{text}\n{match[2]}", before, flags=re.DOTALL)
    assert count == 1, name
    path.write_text(after, encoding="utf-8")
