"""torchrun with two nodes: two agents on this machine, each in a network of its own where that is permitted."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aevq.runs.run import Run
from helpers.ranks import free_port
from helpers.same_runs import assert_same
from helpers.small_runs import SMALL_VQVAE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ARGUMENTS = [*SMALL_VQVAE, "trainer=ddp_sim", "trainer.devices=1", "trainer.num_nodes=2"]
NAMES = ("aevq-a", "aevq-b")
ADDRESSES = ("10.213.7.1", "10.213.7.2")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def networks() -> Iterator[tuple[str, str]]:
    """Two network namespaces connected by a virtual cable, like two machines."""
    try:
        for name in NAMES:
            ip("netns", "add", name)
        ip("link", "add", "aevq-v0", "netns", NAMES[0], "type", "veth", "peer", "name", "aevq-v1", "netns", NAMES[1])
        for name, address, device in zip(NAMES, ADDRESSES, ("aevq-v0", "aevq-v1"), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "link", "set", "lo", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", b"") or str(error).encode()
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        pytest.skip(f"no network namespaces here: {reason.decode().strip()}")
    try:
        yield ADDRESSES
    finally:
        for name in NAMES:
            ip("netns", "del", name)


def train_on_two_nodes(folder: Path, addresses: tuple[str, str], networks: tuple[str, str] | None) -> Run:
    """Return the run of two agents of torchrun with one process each."""
    folder.mkdir()
    rendezvous = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-id=job7", "--rdzv-backend=c10d"]
    rendezvous.append(f"--rdzv-endpoint={addresses[0]}:{free_port()}")
    agents = []
    for node in (0, 1):
        host = [f"--rdzv-conf=is_host={'true' if node == 0 else 'false'}", f"--local-addr={addresses[node]}"]
        inside = ["ip", "netns", "exec", networks[node]] if networks else []
        device = {"GLOO_SOCKET_IFNAME": f"aevq-v{node}"} if networks else {}
        command = [*inside, sys.executable, "-m", "torch.distributed.run", *rendezvous, *host]
        with (folder / f"node{node}.log").open("wb") as log:
            agents.append(
                subprocess.Popen(
                    [*command, "-m", "aevq.train", *ARGUMENTS],
                    cwd=folder,
                    env=os.environ | {"OMP_NUM_THREADS": "1"} | device,
                    stdout=log,
                    stderr=log,
                )
            )
    try:
        for node, agent in enumerate(agents):
            assert agent.wait(timeout=400) == 0, (folder / f"node{node}.log").read_text()[-4000:]
    finally:
        for agent in agents:
            agent.terminate()
            agent.wait()
    (result,) = (path for path in folder.glob("runs/*/result.json") if not path.parent.is_symlink())
    run = Run(result.parent)
    assert run.path.name.startswith("job7-")
    assert {path.name for path in run.path.glob("train*.log")} == {"train.log", "train.rank1.log"}
    return run


def test_two_agents_of_torchrun_make_one_run(tmp_path):
    """It equals the run of two processes that Lightning starts."""
    by_torchrun = train_on_two_nodes(tmp_path / "agents", ("127.0.0.1", "127.0.0.1"), None)
    alone = [sys.executable, "-m", "aevq.train", *ARGUMENTS, "trainer.devices=2", "trainer.num_nodes=1"]
    subprocess.run(alone, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
    assert_same(by_torchrun, Run((tmp_path / "runs" / "latest").resolve()))


def test_two_agents_in_two_networks_make_one_run(tmp_path, networks):
    run = train_on_two_nodes(tmp_path / "agents", networks, NAMES)
    assert run.result.status == "finished"
