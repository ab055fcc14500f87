"""Servers of this machine that behave as badly as servers do, with TLS or without."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answer(BaseHTTPRequestHandler):
    """Answers as its server's `how` says; what is asked for is looked up in its `files`."""

    def do_GET(self):
        getattr(self, self.server.how)()

    do_POST = do_GET

    def send(self, content: bytes, claimed: int | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if claimed is None else claimed))
        self.end_headers()
        self.wfile.write(content)

    @property
    def content(self) -> bytes:
        return self.server.files[Path(self.path).name]

    def good(self):
        self.send(self.content)

    def silent(self):
        self.server.stop.wait(60)

    def trickling(self):
        self.send_response(200)
        self.send_header("Content-Length", str(10**6))
        self.end_headers()
        while not self.server.stop.wait(0.1):
            self.wfile.write(b"\x1f" * 50)
            self.wfile.flush()

    def truncating(self):
        self.send(self.content[: len(self.content) // 2], claimed=len(self.content))

    def redirecting(self):
        self.send_response(302)
        self.send_header("Location", f"{self.server.elsewhere}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def refusing(self):
        self.send(b"", status=503)

    def log_message(self, *_):
        """Print nothing."""

    def handle(self):
        try:
            super().handle()
        except OSError:  # the client has gone
            self.close_connection = True


@contextmanager
def serving(
    how: str, files: dict[str, bytes] | None = None, tls: Path | None = None, elsewhere: str = ""
) -> Iterator[str]:
    """Run a server that answers by the method `how` of `Answer`, and yield its address.

    It has `files`, its certificate is in the folder `tls` (None serves plain http), and it redirects to `elsewhere`.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    server.how, server.files, server.elsewhere = how, files or {}, elsewhere
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
