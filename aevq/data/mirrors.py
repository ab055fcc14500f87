"""Files from HTTPS mirrors, checked before anybody gets them.

No plain-http address is ever asked, not even by a redirect: the session has no adapter for it.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from aevq.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aevq.data.files import DataFile

__all__ = ["Unreachable", "download", "https_session"]

# No archive is much larger than what is in it: a mirror that sends more than this beyond it is cut short.
_SLACK = 1 << 16
_SLOWEST = 10_000  # bytes a second, from `timeout` on
_CHUNK = 1 << 10  # small, so that a trickle is noticed


class _TooSlow(requests.Timeout):
    """A mirror that never stops, and never ends either."""


class Unreachable(UserError):
    """A file is not here and could not be fetched. Content that is there but wrong is another matter."""


def https_session() -> requests.Session:
    """A session that speaks https and nothing else."""
    session = requests.Session()
    session.adapters.pop("http://")
    session.headers["Accept-Encoding"] = "identity"
    return session


def _in_words(error: requests.RequestException, timeout: float) -> str:
    """The exception as a student wants to read it: requests' own text is a nest of reprs."""
    if isinstance(error, _TooSlow):
        return f"slower than {_SLOWEST // 1000} kB/s"
    if isinstance(error, requests.Timeout):
        return f"no answer within {timeout:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate was not accepted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "redirected to an address that is not https"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__


def _get(session: requests.Session, url: str, limit: int, timeout: float, on_bytes: Callable[[int], None]) -> bytes:
    content, begun = bytearray(), time.monotonic()
    with session.get(url, stream=True, timeout=timeout) as response:
        response.raise_for_status()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            took = time.monotonic() - begun
            if took > timeout and len(content) < _SLOWEST * took:
                raise _TooSlow
            if len(content) > limit:
                raise UserError(f"{url}: expected at most {limit} bytes, got more")
            on_bytes(len(chunk))
    return bytes(content)


def _checked(file: DataFile, data: bytes, url: str) -> bytearray:
    if not file.verifiable(gzipped=data[:2] == b"\x1f\x8b"):
        raise UserError(f"{url}: expected a gzip file, got {data[:4].hex() or 'nothing'}")
    return file.load(data, url)


def download(file: DataFile, mirrors: Sequence[str], timeout: float) -> bytearray:
    """The raw content of a file from the first mirror that delivers the right one.

    Args:
        file: What to ask for, as `<mirror>/<name>.gz`.
        mirrors: Base addresses, https.
        timeout: Of the connection, and of every pause in the transfer, in seconds.

    Raises:
        UserError: If a mirror delivered wrong content and none the right.
        Unreachable: If no mirror delivered anything.
    """
    reasons, wrong = [], False
    limit = math.prod(file.shape) + _SLACK
    with https_session() as session, _progress(file.name) as on_bytes:
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{file.name}.gz"
            try:
                return _checked(file, _get(session, url, limit, timeout, on_bytes), url)
            except requests.RequestException as error:
                reasons.append(f"{urlsplit(mirror).hostname}: {_in_words(error, timeout)}")
            except UserError as error:
                wrong = True
                reasons.append(str(error))
    error_type = UserError if wrong else Unreachable
    raise error_type(f"no mirror gave {file.name}: {'; '.join(reasons) or 'none is listed'}")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while a file comes, where stderr is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda count: progress.advance(task, count)
