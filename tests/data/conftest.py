"""A small data set of real digits, and mirrors that live in memory."""

import io
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from aevq.data import MNISTDataModule, download
from helpers.small_data import small_contents, small_source, zipped


@pytest.fixture(scope="session")
def contents() -> dict[str, bytes]:
    """Raw files by name: 60 train and 20 test digits."""
    return small_contents()


@pytest.fixture
def make(tmp_path, contents, monkeypatch):
    """Return a function that makes the data module of the small data set."""

    def build(source=None, **changes):
        monkeypatch.setitem(download.SOURCES, "mnist", source or small_source(contents))
        arguments = {"val_size": 10, "batch_size": 8, "eval_batch_size": 16, "seed": 1, "timeout": 1.0}
        return MNISTDataModule(**{"root": str(tmp_path / "data"), **arguments, **changes})

    return build


@dataclass
class Web(BaseAdapter):
    """Answers from a table: bytes, an exception to raise, or (status, headers, body); else 404."""

    pages: dict[str, Any] = field(default_factory=dict)
    asked: Counter = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, request, **kwargs):
        with self.lock:
            self.asked[request.url] += 1
        page = self.pages.get(request.url, (404, {}, b""))
        if isinstance(page, Exception):
            raise page
        status, headers, body = page if isinstance(page, tuple) else (200, {}, page)
        response = requests.Response()
        response.status_code, response.url, response.request = status, request.url, request
        response.headers.update(headers)
        response.raw = body if hasattr(body, "read") else io.BytesIO(body)
        return response

    def close(self):
        pass

    def serve(self, mirror: str, contents: dict[str, bytes]) -> None:
        self.pages |= {f"{mirror}{name}.gz": zipped(raw) for name, raw in contents.items()}

    def down(self, mirror: str) -> None:
        self.pages |= {f"{mirror}{name}.gz": requests.ConnectionError("down") for name in download.FILES}


@pytest.fixture
def web(monkeypatch):
    """The internet, in memory; the session is the real one, only its https adapter is replaced."""
    table, real = Web(), download.https_session

    def session():
        made = real()
        made.mount("https://", table)
        return made

    monkeypatch.setattr(download, "https_session", session)
    return table
