"""Keys and servers of W&B, the servers played by one on this machine."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from aevq.training.wandb_server import logged_in, wandb_mode, wandb_server


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def server():
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_wandb_is_offline_without_a_key(no_key, monkeypatch, server):
    monkeypatch.setenv("WANDB_BASE_URL", server)
    assert wandb_mode() == "offline"


def test_wandb_is_online_with_a_key_and_a_server_that_answers(no_key, monkeypatch, server):
    monkeypatch.setenv("WANDB_BASE_URL", server)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert wandb_mode() == "online"


def test_wandb_is_offline_where_nobody_answers(no_key, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert wandb_mode() == "offline"


def test_the_users_own_mode_wins(no_key, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_mode() == "disabled"


@pytest.mark.parametrize("kept_under", ["the server's name", "its older name"])
def test_a_key_in_netrc_is_found(kept_under, no_key, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    machine = "wandb.example.org" if kept_under == "the server's name" else "api.wandb.ai"
    assert not logged_in()
    (tmp_path / "netrc").write_text(f"machine {machine} login user password {'x' * 40}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert logged_in()


def test_the_server_is_wandbs_own_unless_another_is_named(no_key, monkeypatch):
    assert wandb_server().startswith("https://api.")
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert wandb_server() == "https://wandb.example.org"
