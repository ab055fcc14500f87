"""Secrets that are known on this machine do not get into logs, results or the files of a run."""

import os
import re
from contextlib import suppress
from pathlib import Path

SECRET_NAME = re.compile(r"(^|[_-])(key|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
SHORTEST = 8  # characters of a secret that is looked for: shorter ones occur in many texts
HIDDEN = "[secret]"


def known_secrets() -> set[str]:
    """Return the values of environment variables that are named like secrets, and the passwords in netrc."""
    found = {value for name, value in os.environ.items() if SECRET_NAME.search(name)}
    with suppress(OSError, RuntimeError):  # there is no such file, or no home folder
        text = Path(os.environ.get("NETRC") or Path("~/.netrc").expanduser()).read_text("utf-8", errors="replace")
        found |= {quoted or plain for quoted, plain in re.findall(r'\bpassword\s+(?:"([^"]*)"|(\S+))', text)}
    return {secret for secret in found if len(secret) >= SHORTEST}


def redact(text: str) -> str:
    """Return `text` with every known secret replaced."""
    for secret in known_secrets():
        text = text.replace(secret, HIDDEN)
    return text
