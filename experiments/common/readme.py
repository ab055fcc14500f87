"""Generated text in a README stands between marks that name it: `<!-- name -->` and `<!-- /name -->`."""

import re
from pathlib import Path

from aevq.errors import UserError
from aevq.files import atomic_write


def between(path: Path, name: str) -> str:
    """Return the text between the marks; a UserError if the file does not have these marks exactly once."""
    found = _marked(name).findall(path.read_text(encoding="utf-8"))
    if len(found) != 1:
        raise UserError(f"{path}: expected one place for {name!r}, found {len(found)}")
    return str(found[0])


def put(path: Path, name: str, text: str) -> None:
    """Replace the text between the marks; a UserError if the file does not have these marks exactly once."""
    between(path, name)
    atomic_write(path, _marked(name).sub(lambda _: text, path.read_text(encoding="utf-8")))


def _marked(name: str) -> re.Pattern[str]:
    return re.compile(f"(?<=<!-- {name} -->\n).*?(?=\n<!-- /{name} -->)", flags=re.DOTALL)
