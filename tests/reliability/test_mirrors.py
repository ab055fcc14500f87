"""Mirrors of data sets that misbehave, played by servers of this machine with TLS."""

import logging
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from aevq.data import MNISTDataModule, download
from aevq.errors import UserError
from helpers.bad_servers import serving
from helpers.small_data import small_contents, small_source, zipped

FILES = {f"{name}.gz": zipped(raw) for name, raw in small_contents().items()}


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Folder of a certificate for localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def data_from(monkeypatch):
    """Builds a data module that downloads from the given addresses."""

    def build(root: Path, *mirrors: str, fallback: str = "embedded") -> MNISTDataModule:
        source = small_source(small_contents(), [f"{address}/" for address in mirrors])
        monkeypatch.setitem(download.SOURCES, "mnist", source)
        return MNISTDataModule(root=str(root), fallback=fallback, timeout=2.0, val_size=10, batch_size=8)

    return build


@pytest.mark.fault("a mirror that is {how}: the next is tried; nothing of it is stored; plain http is never used")
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param("silent", "ReadTimeout", marks=pytest.mark.slow),
        pytest.param("trickling", "Timeout", marks=pytest.mark.slow),
        ("truncating", "ChunkedEncodingError|ConnectionError"),
        ("redirecting", "InvalidSchema"),
        ("refusing", "HTTPError 503"),
    ],
)
def test_a_mirror_that_misbehaves(how, reason, tls, data_from, tmp_path, monkeypatch, observed):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls / "cert.pem"))
    with (
        serving("good", FILES) as plain,
        serving("good", FILES, tls) as good,
        serving(how, FILES, tls, elsewhere=plain) as bad,
    ):
        start = time.monotonic()
        data = data_from(tmp_path / "both", bad, good)
        data.prepare()
        seconds = time.monotonic() - start
        assert data.name == "mnist"
        assert data.sizes == {"train": 50, "val": 10, "test": 20}
        with pytest.raises(UserError, match=reason):
            data_from(tmp_path / "one", bad, fallback="error").prepare()
        assert [path.name for path in (tmp_path / "one").rglob("*") if path.is_file()] in ([], [".lock"])
    observed(f"the next mirror had it, after {seconds:.1f} s; alone: one line")


@pytest.mark.fault("mirrors that are down: the embedded images, with one warning, or one line where that is forbidden")
def test_mirrors_that_are_down(data_from, tmp_path, observed, caplog):
    with caplog.at_level(logging.WARNING):
        data = data_from(tmp_path / "a", "https://localhost:9")
        data.prepare()
    assert data.name == "mnist5k"
    assert len(caplog.records) == 1
    with pytest.raises(UserError, match="ConnectionError"):
        data_from(tmp_path / "b", "https://localhost:9", fallback="error").prepare()
    observed("5,000 embedded images named mnist5k, one warning; else one line")


@pytest.mark.fault("a mirror whose certificate is not trusted: nothing is downloaded from it")
def test_a_mirror_with_a_certificate_of_its_own(tls, data_from, tmp_path, observed, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with serving("good", FILES, tls) as own, pytest.raises(UserError, match="SSLError"):
        data_from(tmp_path / "b", own, fallback="error").prepare()
    observed("SSLError")


@pytest.mark.fault("a full disk during a download: the embedded images, with one warning; no half file")
def test_a_download_to_a_full_disk(tls, data_from, small_disk, monkeypatch, observed, caplog):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls / "cert.pem"))
    disk = small_disk(20)
    with serving("good", FILES, tls) as good, caplog.at_level(logging.WARNING):
        data = data_from(disk, good)
        data.prepare()
    assert data.name == "mnist5k"
    assert "No space left on device" in caplog.text
    assert not [path for path in disk.rglob("*") if path.is_file() and path.name != ".lock"]
    observed("No space left on device, 5,000 embedded images")
