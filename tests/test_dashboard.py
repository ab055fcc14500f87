"""The command `python -m aevq.dashboard`, as a user types it; with a server on this machine in place of W&B's."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from aevq.dashboard import main
from helpers.killed_processes import run

ANSWERS = {
    "viewer": {"id": "1", "username": "u", "entity": "team", "flags": "{}", "teams": {"edges": []}},
    "upsertView": {"view": {"id": "V1", "name": "nw-abc-v"}, "inserted": True},
}


@pytest.fixture(autouse=True)
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def server():
    """A server that answers a push and keeps the views that it receives."""
    views = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self, reply=b""):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            question = json.loads(body) if body.startswith(b"{") else {"query": ""}
            if "upsertView" in question["query"]:
                views.append(question["variables"])
            self.do_GET(json.dumps({"data": ANSWERS}).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.views = views
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def error_of(command, *arguments):
    code, out, err = command(main, *arguments)
    assert code == 1
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    return err


def test_without_push_it_writes_the_same_specification_each_time(command, tmp_path):
    for name in ("a.json", "b.json"):
        code, out, _ = command(main, f"out={name}", "project=digits", "name=seen")
        assert (code, out.strip()) == (0, name)
    first, second = ((tmp_path / name).read_text() for name in ("a.json", "b.json"))
    assert first == second
    view = json.loads(first)
    assert (view["project"], view["displayName"]) == ("digits", "seen")
    titles = [section["name"] for section in view["spec"]["section"]["panelBankConfig"]["sections"]]
    assert titles[:3] == ["Reconstruction", "Samples", "Codebook"]


def test_a_push_without_a_key_explains_how_to_log_in_and_writes_nothing(command, tmp_path):
    before = list(tmp_path.iterdir())
    assert "push: not logged in to W&B; run `wandb login`" in error_of(command, "push=true")
    assert list(tmp_path.iterdir()) == before


def test_a_push_to_a_server_that_does_not_answer(command, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert "push: W&B refused (Failed to verify credentials with http://127.0.0.1:9" in error_of(command, "push=true")


def test_a_folder_that_is_not_there(command):
    assert "out: cannot write" in error_of(command, "out=missing/dashboard.json")


def test_without_the_package_the_extra_is_named(command, monkeypatch):
    monkeypatch.delitem(sys.modules, "aevq.report.workspace", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "wandb_workspaces"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert "is not installed; pip install aevq[dashboard]" in error_of(command)


def push(server, tmp_path, *arguments):
    # In its own process: W&B keeps the first server that it connects to.
    environment = {"WANDB_API_KEY": "x" * 40, "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}"}
    return run("dashboard", tmp_path, "push=true", *arguments, **environment, WANDB_SILENT="true")


def test_a_push_publishes_the_specification_and_prints_the_url(server, tmp_path):
    done = push(server, tmp_path, "project=digits")
    assert done.code == 0, done.err
    assert done.out.strip() == f"http://127.0.0.1:{server.server_port}/team/digits?nw=abc"
    (view,) = server.views
    assert (view["entityName"], view["projectName"], view["displayName"]) == ("team", "digits", "aevq")
    assert json.loads(view["spec"])["section"]["panelBankConfig"]["sections"][0]["name"] == "Reconstruction"
    assert not (tmp_path / "dashboard.json").exists()


def test_a_push_that_wandb_refuses_is_one_line(server, tmp_path, monkeypatch):
    monkeypatch.setitem(ANSWERS, "viewer", None)
    done = push(server, tmp_path)
    assert done.code == 1
    assert done.err.strip().splitlines()[-1].startswith("error: push: W&B refused")
    assert "Traceback" not in done.err
