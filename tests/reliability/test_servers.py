"""Local servers that behave badly: mirrors, with TLS, and W&B's."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aevq.training.wandb_server import wandb_mode

from aevq.data import MNISTDataModule, download
from aevq.errors import UserError
from aevq.training import loggers
from helpers.small_data import small_contents, small_source, zipped

TIMEOUT = 2.0  # seconds without an answer


class Answer(BaseHTTPRequestHandler):
    """Answers as its server's `how` says."""

    def do_GET(self):
        getattr(self, f"be_{self.server.how}")()

    def do_POST(self):
        getattr(self, f"post_{self.server.how}", self.be_refusing)()

    def send(self, content: bytes, claimed: int | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if claimed is None else claimed))
        self.end_headers()
        self.wfile.write(content)

    @property
    def content(self) -> bytes:
        name = Path(self.path).name.removesuffix(".gz")
        return zipped(self.server.contents[name])

    def be_good(self):
        self.send(self.content)

    def be_silent(self):
        self.server.stop.wait(60)

    def be_trickling(self):
        self.send_response(200)
        self.send_header("Content-Length", str(10**6))
        self.end_headers()
        while not self.server.stop.wait(0.1):
            self.wfile.write(b"\x1f" * 50)
            self.wfile.flush()

    def be_truncating(self):
        self.send(self.content[: len(self.content) // 2], claimed=len(self.content))

    def be_wrong(self):
        changed = bytearray(self.server.contents[Path(self.path).name.removesuffix(".gz")])
        changed[-1] ^= 1
        self.send(zipped(bytes(changed)))

    def be_a_page(self):
        self.send(b"<html>Welcome to our hotel's network</html>")

    def be_redirecting(self):
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{self.server.plain_port}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def be_refusing(self):
        self.send(b"", status=503)

    def be_welcoming(self):
        self.send(b"")

    def post_welcoming(self):
        self.server.stop.wait(60)

    def be_polite(self):
        self.send(b"")

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:  # the client has gone
            self.close_connection = True


@contextmanager
def serving(how: str, tls: Path | None = None, plain_port: int = 0):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    server.how, server.contents, server.plain_port = how, small_contents(), plain_port
    server.stop = threading.Event()
    server.handle_error = lambda *_: None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{server.server_port}"
    finally:
        server.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A certificate for localhost, made for this test."""
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
def module(monkeypatch):
    """Return a function that makes the small data set's module, with mirrors at these addresses."""

    def build(root: Path, addresses: list[str], fallback: str = "embedded") -> MNISTDataModule:
        mirrors = [f"{address}/" for address in addresses]
        monkeypatch.setitem(download.SOURCES, "mnist", small_source(small_contents(), mirrors))
        return MNISTDataModule(root=str(root), timeout=TIMEOUT, fallback=fallback, val_size=10, batch_size=8)

    return build


WORDS = {
    "silent": "Timeout|ConnectionError",
    "truncating": "ConnectionError|ChunkedEncodingError|end-of-stream",
    "wrong": "expected SHA-256",
    "a_page": "gzip",
    "redirecting": "InvalidSchema",
    "refusing": "HTTPError 503",
}


@pytest.mark.fault("a mirror that is {how}: the next one is tried; its content is not used or stored; never plain http")
@pytest.mark.parametrize("how", [pytest.param(how, marks=pytest.mark.slow if how == "silent" else ()) for how in WORDS])
def test_a_mirror(how, tls, tmp_path, monkeypatch, module, saw):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls / "cert.pem"))
    with (
        serving("good") as plain,
        serving("good", tls) as good,
        serving(how, tls, plain_port=int(plain.rpartition(":")[2])) as bad,
    ):
        begun = time.monotonic()
        data = module(tmp_path / "both", [bad, good])
        data.prepare()
        took = time.monotonic() - begun
        assert data.name == "mnist"
        assert data.sizes == {"train": 50, "val": 10, "test": 20}
        with pytest.raises(UserError, match=WORDS[how]):
            module(tmp_path / "one", [bad], "error").prepare()
        assert not [path for path in (tmp_path / "one").rglob("*") if path.is_file() and path.name != ".lock"]
    saw(f"downloaded from the next mirror, after {took:.1f} s; without another mirror: one line")


@pytest.mark.fault("mirrors that are down: the embedded images, with one warning; with fallback=error one line")
def test_mirrors_that_are_down(tmp_path, module, saw, caplog):
    with caplog.at_level(logging.WARNING):
        data = module(tmp_path / "a", ["https://localhost:9"])
        data.prepare()
    assert data.name == "mnist5k"
    assert len(caplog.records) == 1
    with pytest.raises(UserError, match="ConnectionError"):
        module(tmp_path / "b", ["https://localhost:9"], "error").prepare()
    saw("5,000 embedded images named mnist5k, one warning; else one line")


@pytest.mark.fault("a mirror whose certificate is not trusted: its content is not used")
def test_a_mirror_with_a_self_signed_certificate(tls, tmp_path, module, saw, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with (
        serving("good", tls) as own,
        pytest.raises(UserError, match="SSLError"),
    ):
        module(tmp_path / "b", [own], "error").prepare()
    saw("one line: SSLError")


@pytest.mark.fault("a full disk during a download: the embedded images, with one warning; no half-written file")
def test_a_download_onto_a_full_disk(tls, small_disk, monkeypatch, module, saw, caplog):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls / "cert.pem"))
    disk = small_disk(20)
    with serving("good", tls) as good, caplog.at_level(logging.WARNING):
        data = module(disk, [good])
        data.prepare()
    assert data.name == "mnist5k"
    assert "No space left on device" in caplog.text
    assert not [path for path in disk.rglob("*") if path.is_file() and path.name != ".lock"]
    saw("No space left on device, 5,000 embedded images")


@pytest.fixture
def wandb_at(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(loggers, "SECONDS_TO_BEGIN", 3)
    (tmp_path / "run").mkdir()

    def start(server: str):
        monkeypatch.setenv("WANDB_BASE_URL", server)
        begun = time.monotonic()
        logger = loggers.weights_and_biases(str(tmp_path / "run"), "aevq", "auto", None, [], None)
        took = time.monotonic() - begun
        offline = list((tmp_path / "run" / "wandb").glob("offline-run-*"))
        loggers.finish([logger], exit_code=0)
        return took, offline

    return start


@pytest.mark.fault("a W&B server that is {how}: the run goes on offline within seconds, with one line on how to upload")
@pytest.mark.parametrize("how", ["silent", "trickling", "refusing", "welcoming"])
def test_a_wandb_server(how, wandb_at, saw, caplog):
    with serving(how) as server, caplog.at_level(logging.WARNING, "aevq"):
        took, offline = wandb_at(server)
    assert offline
    assert took < 30
    assert "wandb sync" in caplog.text
    saw(f"offline after {took:.1f} s")


@pytest.mark.fault("a W&B server that hangs while the last figures are uploaded: the run ends all the same")
def test_a_wandb_server_that_hangs_at_the_end(monkeypatch, tmp_path, saw, caplog):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = loggers.weights_and_biases(str(tmp_path), "aevq", "auto", None, [], None)
    ended = threading.Event()
    finish = wandb.finish
    monkeypatch.setattr(wandb, "finish", lambda exit_code: ended.wait(60))
    monkeypatch.setattr(loggers, "SECONDS_TO_FINISH", 0.3)
    with caplog.at_level(logging.WARNING, "aevq"):
        loggers.finish([logger], exit_code=0)
    ended.set()
    finish()
    assert "still uploading" in caplog.text
    saw("left to itself after the time it is given, with one line")


@pytest.mark.fault("a W&B server that nobody listens at: offline at once")
def test_a_wandb_server_that_is_down(monkeypatch, saw):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert wandb_mode() == "offline"
    saw("offline")
