"""The sweep of W&B: its own command creates it and its own agent runs two trials, against a server that stands in."""

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

import aevq
from helpers.small_runs import SMALL_VQVAE

TRIALS = [
    {"model.num_codes": 8, "model.commitment_cost": 0.5, "model/codebook_update": "ema"},
    {"model.num_codes": 16, "model.commitment_cost": 0.1, "model/codebook_update": "gradient"},
]


class StandIn(BaseHTTPRequestHandler):
    """Answers what `wandb sweep` and `wandb agent` ask, and gives out the trials, one after the other."""

    created: str
    given: int

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        name = re.search(r"(?:query|mutation)\s+(\w+)", asked.get("query", ""))
        answer = json.dumps({"data": self.answer(name and name[1], asked.get("variables"))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def answer(self, name, variables):
        place = {"id": "p", "name": "aevq", "entity": {"id": "e", "name": "me"}}
        match name:
            case "Viewer":
                return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}
            case "UpsertSweep":
                StandIn.created, StandIn.given = variables["config"], 0
                sweep = {"id": "s", "name": "sweep1", "project": place}
                return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}
            case "SweepWithRuns":
                sweep = {"id": "s", "name": "sweep1", "config": StandIn.created, "state": "RUNNING"}
                return {"project": {"sweep": sweep | {"runs": {"edges": []}}}}
            case "CreateAgent":
                return {"createAgent": {"agent": {"id": "agent1"}}}
            case "Heartbeat":
                busy = any(json.loads(variables["runState"]).values())
                commands = [] if busy else [self.next_command()]
                return {"agentHeartbeat": {"agent": {"id": "agent1"}, "commands": json.dumps(commands)}}
        return {}

    def next_command(self):
        if StandIn.given == len(TRIALS):
            return {"type": "exit"}
        arguments = {key: {"value": value} for key, value in TRIALS[StandIn.given].items()}
        StandIn.given += 1
        return {"type": "run", "run_id": f"trial{StandIn.given}", "program": "aevq.train", "args": arguments}

    def log_message(self, *_):
        """Print nothing."""


@pytest.mark.slow
def test_a_real_agent_runs_the_trials_of_the_sweep(pytestconfig, tmp_path):
    sweep = yaml.safe_load((pytestconfig.rootpath / "experiments/wandb_sweep/vqvae.yaml").read_text())
    fixed = ("model=", "model.num_codes", "prior")  # by the sweep
    sweep["command"] += [override for override in SMALL_VQVAE if not override.startswith(fixed)]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    Thread(target=server.serve_forever, daemon=True).start()
    address = {"WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "WANDB_API_KEY": "x" * 40}
    # The agent starts whatever `python` is on the path, and the environment of the tests need not be activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | address | {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "PATH": path}

    def wandb(*arguments):
        command = [sys.executable, "-m", "wandb", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "wandb agent me/aevq/sweep1" in wandb("sweep", "sweep.yaml")
    wandb("agent", "me/aevq/sweep1")
    server.shutdown()
    server.server_close()
    runs = sorted((path.parent for path in tmp_path.glob("runs/2*/result.json")), key=lambda path: path.name)
    assert [aevq.load(str(run)).finished for run in runs] == [True, True]
    for number, (run, trial) in enumerate(zip(runs, TRIALS, strict=True), 1):
        config = aevq.load(str(run)).config.model
        assert (config.num_codes, config.commitment_cost) == (trial["model.num_codes"], trial["model.commitment_cost"])
        (folder,) = (run / "wandb").glob("offline-run-*")
        assert folder.name.endswith(f"trial{number}")
