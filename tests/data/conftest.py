"""A small data set of real digits, and mirrors that live in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from aevq.data import MNISTDataModule, mirrors
from aevq.data.embedded import embedded_digits
from aevq.data.files import ROLES

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MIRRORS = ["https://first.test/mnist/", "https://second.test/mnist/"]


def idx_bytes(tensor) -> bytes:
    magic = {3: 2051, 1: 2049}[tensor.ndim]
    return struct.pack(f">{1 + tensor.ndim}I", magic, *tensor.shape) + tensor.contiguous().numpy().tobytes()


def zipped(raw: bytes) -> bytes:
    return gzip.compress(raw, mtime=0)


@pytest.fixture(scope="session")
def digits():
    return embedded_digits()


@pytest.fixture(scope="session")
def contents(digits) -> dict[str, bytes]:
    """Raw files by name: 60 train and 20 test digits."""
    images, labels = digits
    train, test = slice(0, 5000, 84), slice(1, 5000, 250)
    parts = (images[train], labels[train], images[test], labels[test])
    return {name: idx_bytes(part) for name, part in zip(NAMES, parts, strict=True)}


def file_entries(contents: dict[str, bytes], *hashes: str) -> dict[str, dict[str, Any]]:
    entries = {}
    for role, name in zip(ROLES, NAMES, strict=True):
        raw = contents[name]
        ndim = 3 if role.endswith("images") else 1
        known = {"sha256": raw, "sha256_gz": zipped(raw)}
        entries[role] = {
            "name": name,
            "shape": list(struct.unpack_from(f">{ndim}I", raw, 4)),
            **{key: hashlib.sha256(known[key]).hexdigest() for key in hashes},
        }
    return entries


@pytest.fixture
def make(tmp_path, contents):
    """Builds the small data set's module; arguments as in the yaml."""

    def build(hashes=("sha256",), **changes):
        arguments = {
            "name": "mnist",
            "root": str(tmp_path / "data"),
            "folder": "MNIST",
            "files": file_entries(contents, *hashes),
            "mirrors": MIRRORS,
            "timeout": 1.0,
            "fallback": "embedded",
            "val_size": 10,
            "split_seed": 0,
            "batch_size": 8,
            "eval_batch_size": 16,
            "binarize": "none",
            "seed": 1,
        }
        return MNISTDataModule(**{**arguments, **changes})

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
        self.pages |= {f"{mirror}{name}.gz": requests.ConnectionError("down") for name in NAMES}


@pytest.fixture
def web(monkeypatch):
    """The internet, in memory; the session is the real one, only its https adapter is exchanged."""
    table, real = Web(), mirrors.https_session

    def session():
        made = real()
        made.mount("https://", table)
        return made

    monkeypatch.setattr(mirrors, "https_session", session)
    return table
