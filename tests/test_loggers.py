import csv
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from aevq.loggers import MetricsCSV, finish, publish, wandb_mode, weights_and_biases


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_metrics_csv_is_one_row_a_figure_and_grows(tmp_path):
    for step in (0, 5):
        MetricsCSV(str(tmp_path)).log_metrics({"train/objective": step + 0.5, "epoch": 1.0}, step)
    assert rows(tmp_path / "metrics.csv") == [
        ["step", "name", "value"],
        ["0", "train/objective", "0.5"],
        ["5", "train/objective", "5.5"],
    ]


def test_a_resumed_stage_forgets_its_own_later_rows_and_no_others(tmp_path):
    logger = MetricsCSV(str(tmp_path))
    for step in (1, 2, 3):
        logger.log_metrics({"train/a": step, "prior/b": step}, step)
    with logger.path.open("a") as file:
        file.write("4,train/")  # torn by a kill
    logger.forget(("train/",), from_step=2)
    kept = [(int(step), name) for step, name, _ in rows(logger.path)[1:]]
    assert kept == [(1, "train/a"), (1, "prior/b"), (2, "prior/b"), (3, "prior/b")]


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


def test_an_offline_run_holds_figures_and_goes_on_under_its_own_id(no_key, tmp_path):
    """Read back with W&B's own reader."""
    run_dir = tmp_path / "2026_vae"
    run_dir.mkdir()
    for step in (1, 2):
        logger = weights_and_biases(str(run_dir), "aevq", "auto", None, ["a"], None)
        logger.log_metrics({"train/objective": 3.0 / step}, step)
        publish([logger], {"reconstruction/mse": 0.25}, [])
        finish([logger], exit_code=0)
    files = sorted((run_dir / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    assert len({file.name for file in files}) == 1
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(files[-1])]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(printed)["summary"]["reconstruction/mse"] == 0.25
