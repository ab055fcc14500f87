"""The files of MNIST, Fashion-MNIST and KMNIST: found or downloaded, checked and parsed.

The files are where torchvision has them, `<root>/MNIST/raw/train-images-idx3-ubyte` and so on, raw or as `.gz`.
torchvision's own download has no time-out, retries over plain http, does not keep a second process out, and takes a
half-written file for a whole one; the download here replaces it.

The SHA-256 of the raw files of MNIST and Fashion-MNIST is checked whenever they are read. For KMNIST only the SHA-256
of the published `.gz` files is known: it is checked after a download and when a `.gz` file is read. Of a raw KMNIST
file only format and shape are checked.
"""

import gzip
import hashlib
import logging
import math
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
import torch
from filelock import FileLock
from torch import Tensor

from aevq.data.splits import Split
from aevq.errors import UserError, expect
from aevq.files import acquire, atomic_write

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

LARGEST = 1 << 26  # bytes of a file; the largest, the train images, has 47,040,016
SLOWEST = 10_000  # bytes per second that a mirror has to send

_log = logging.getLogger("aevq.data")


class Unreachable(UserError):
    """A file is not on the disk and could not be downloaded. A file with wrong content raises a plain `UserError`."""


@dataclass(frozen=True)
class Source:
    """A data set of four files in the format of MNIST.

    Attributes:
        name: Name of its folder.
        mirrors: Addresses of folders that hold the `.gz` files, https, tried in this order.
        sha256: SHA-256 of each of `FILES`.
        of_gz: Whether `sha256` is of the published `.gz` files, else of the raw files.
    """

    name: str
    mirrors: tuple[str, ...]
    sha256: tuple[str, str, str, str]
    of_gz: bool = False

    def read(self, root: Path, download: bool = True, timeout: float = 5.0) -> tuple[Split, Split]:
        """Return the train and the test images in a folder of data sets; download missing files first, if allowed.

        After `timeout` seconds without an answer the next mirror is tried.

        Raises:
            Unreachable: If a file is missing and cannot be downloaded or stored.
            UserError: If the content of a file is wrong, on the disk or on a mirror.
        """
        folder = root / self.name / "raw"
        if _missing(folder):
            try:
                if not download:
                    raise Unreachable("downloads are switched off")
                self._download(folder, timeout)
            except Unreachable as error:
                advice = f"Put its four files ({', '.join(FILES)}; raw or .gz) there"
                raise Unreachable(f"{self.name} is not in {folder}, and {error}. {advice}") from error
        train_images, train_labels, test_images, test_labels = (self._tensor(folder, file) for file in FILES)
        for images, labels in (train_images, train_labels), (test_images, test_labels):
            expect(len(images) == len(labels) > 0, str(folder), f"{len(images)} labels, one per image", len(labels))
        return Split(train_images[:, None], train_labels), Split(test_images[:, None], test_labels)

    def _tensor(self, folder: Path, file: str) -> Tensor:
        path = _path(folder, file)
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError(f"expected at most {LARGEST} bytes")
            return _parse(self._raw(path.read_bytes(), file, zipped=path.suffix == ".gz"), file)
        except (ValueError, OSError, EOFError, zlib.error) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path}: {reason}. Delete a damaged file to have it downloaded again") from error

    def _raw(self, data: bytes, file: str, zipped: bool) -> bytes:
        """Return the raw content; raise a ValueError if its SHA-256 is wrong, other errors if it is not whole."""
        raw = gzip.decompress(data) if zipped else data
        if zipped or not self.of_gz:
            expected = self.sha256[FILES.index(file)]
            got = hashlib.sha256(data if self.of_gz else raw).hexdigest()
            if got != expected:
                raise ValueError(f"expected SHA-256 {expected[:12]}…, got {got[:12]}…")
        return raw

    def _download(self, folder: Path, timeout: float) -> None:
        """Download the files that are missing. Of several processes one downloads, and the others wait for it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = acquire(FileLock(folder / ".lock"), "another process that downloads the data")
            with lock, https_session() as session:
                for file in _missing(folder):  # looked up again: another process may have stored them meanwhile
                    atomic_write(folder / file, self._from_mirrors(session, file, timeout))
        except OSError as error:
            raise Unreachable(f"cannot write to {folder} ({error.strerror or error})") from error

    def _from_mirrors(self, session: requests.Session, file: str, timeout: float) -> bytes:
        """Return the raw content from the first mirror that has the right one."""
        reasons, wrong = [], False
        for mirror in self.mirrors:
            url = f"{mirror}{file}.gz"
            _log.info("downloading %s", url)
            try:
                response = session.get(url, timeout=timeout, stream=True)
                response.raise_for_status()
                return self._raw(_content(response, timeout), file, zipped=True)
            except requests.RequestException as error:  # its own message is a nest of reprs
                status = "" if error.response is None else f" {error.response.status_code}"
                reasons.append(f"{url}: {type(error).__name__}{status}")
            except (ValueError, OSError, EOFError, zlib.error) as error:
                reasons.append(f"{url}: {error}")
                wrong = True
        raise (UserError if wrong else Unreachable)(
            f"{file} could not be downloaded from any mirror ({'; '.join(reasons)})"
        )


def https_session() -> requests.Session:
    """Return a session that refuses plain http, also after a redirect."""
    session = requests.Session()
    session.adapters.pop("http://")
    session.headers["Accept-Encoding"] = "identity"
    session.auth = lambda request: request  # a mirror needs no password, and so ~/.netrc is not read
    return session


def _content(response: requests.Response, timeout: float) -> bytes:
    """Return the body of a response; a `Timeout` if after `timeout` seconds its mean rate is below `SLOWEST`."""
    start, content = time.monotonic(), bytearray()
    for chunk in response.iter_content(1024):
        content += chunk
        seconds = time.monotonic() - start
        if seconds > timeout and len(content) < SLOWEST * seconds:
            raise requests.Timeout(f"{len(content)} bytes in {seconds:.0f} s")
    return bytes(content)


def _path(folder: Path, file: str) -> Path:
    """Return the path of the raw file, or of the `.gz` file if only that exists."""
    raw, zipped = folder / file, folder / f"{file}.gz"
    return zipped if zipped.is_file() and not raw.is_file() else raw


def _missing(folder: Path) -> list[str]:
    return [file for file in FILES if not _path(folder, file).is_file()]


def _parse(raw: bytes, file: str) -> Tensor:
    """Return images uint8 `(N, 28, 28)` or labels int64 `(N,)`."""
    dims = 3 if "images" in file else 1
    magic, *shape = struct.unpack_from(f">{1 + dims}I", raw.ljust(16, b"\0"))
    data = raw[4 * (1 + dims) :]
    ok = magic == 2048 + dims and len(data) == math.prod(shape) and shape[1:] in ([28, 28], [])
    if not ok or (dims == 1 and max(data, default=0) >= 10):
        raise ValueError("expected the format of MNIST: images of shape (28, 28) or labels below 10")
    tensor = torch.from_numpy(np.frombuffer(data, np.uint8).reshape(shape).copy())
    return tensor if dims == 3 else tensor.long()


SOURCES = {
    "mnist": Source(
        "MNIST",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": Source(
        "FashionMNIST",
        (
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    "kmnist": Source(
        "KMNIST",
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        of_gz=True,
    ),
}
"""Data sets that can be downloaded, by name."""
