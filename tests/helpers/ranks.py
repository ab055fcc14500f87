"""Several processes joined by gloo, in which a function of a test module runs."""

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
SECONDS = 240

CHILD = """
import pickle, sys
import torch
torch.set_num_threads(1)
with open(sys.argv[1], "rb") as file:
    function, arguments = pickle.load(file)
result = function(*arguments)
with open(sys.argv[2], "wb") as file:
    pickle.dump(result, file)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def on_ranks(folder: Path, ranks: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Return the results of a function, of a module in `tests`, in processes whose ranks are set as under torchrun."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "call").write_bytes(pickle.dumps((function, arguments)))
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = []
    for rank in range(ranks):
        own = {"RANK": rank, "LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": ranks}
        own["PYTHONPATH"] = os.pathsep.join([str(TESTS), *sys.path])
        own["PL_GLOBAL_SEED"] = 0  # as `seed_everything` leaves it in a process and its children
        environment = os.environ | address | {name: str(value) for name, value in own.items()}
        command = [sys.executable, "-W", "ignore", "-c", CHILD, str(folder / "call"), str(folder / f"result{rank}")]
        with (folder / f"log{rank}").open("wb") as log:
            processes.append(subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log))
    try:
        for rank, process in enumerate(processes):
            assert process.wait(timeout=SECONDS) == 0, (folder / f"log{rank}").read_text()[-3000:]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [pickle.loads((folder / f"result{rank}").read_bytes()) for rank in range(ranks)]
