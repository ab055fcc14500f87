"""What only processes of their own can show: DDP by Lightning's launcher and by torchrun, and the wheel."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aevq.errors import PREEMPTED
from aevq.runs.run import Run
from helpers.commands import run_command
from helpers.ranks import free_port
from helpers.same_runs import assert_same
from helpers.small_runs import SMALL_VQVAE, only_run

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_processes_make_one_run(tmp_path):
    done = run_command("train", tmp_path, "trainer=ddp_sim", *SMALL_VQVAE)
    assert done.returncode == 0, done.stderr
    run = Run(only_run(tmp_path))
    assert (tmp_path / "runs" / "latest").resolve() == run.path
    assert run.finished
    assert run.result.train["steps"] == 4
    assert (run.images / "samples_pixelcnn.png").is_file()
    assert done.stderr.count("fitting the prior pixelcnn") == 1
    assert "Warning" not in done.stderr


LONGER = ["trainer=ddp_sim", *SMALL_VQVAE, "trainer.max_steps=300"]
LONGER += ["trainer.val_check_interval=100", "trainer.log_every_n_steps=5"]


def start_two(folder: Path) -> tuple[subprocess.Popen, list[int]]:
    """Start a training by two processes; return the first, and the others by their ids, in the midst of it."""
    process = subprocess.Popen([sys.executable, "-m", "aevq.train", *LONGER], cwd=folder, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 200
    while not any(path.read_text().count("\n") > 20 for path in folder.glob("runs/*/metrics.csv")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process, [
        int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run_command("train", folder, *LONGER).check_returncode()
    return Run((folder / "runs" / "latest").resolve())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_either_process_stops_both_and_the_run_resumes_exactly(signalled, whole, tmp_path):
    process, children = start_two(tmp_path)
    os.kill([process.pid, children[0]][signalled], signal.SIGTERM)
    _, err = process.communicate(timeout=200)
    assert process.returncode == PREEMPTED, err.decode()
    run = Run((tmp_path / "runs" / "latest").resolve())
    assert (run.result.status, run.result.error) == ("interrupted", "stopped by SIGTERM")
    assert not Path(f"/proc/{children[0]}").exists() or "Z" in Path(f"/proc/{children[0]}/stat").read_text().split()[2]
    run_command("train", tmp_path, "resume=latest").check_returncode()
    assert_same(run, whole)


@pytest.mark.slow
@pytest.mark.fault("a rank that dies ends the others within seconds, and they name it")
@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_is_killed_is_named(killed, tmp_path):
    process, children = start_two(tmp_path)
    os.kill([process.pid, children[0]][killed], signal.SIGKILL)
    start = time.monotonic()
    _, err = process.communicate(timeout=60)  # until both have closed it
    assert time.monotonic() - start < 12
    assert f"error: rank {killed} died" in err.decode()
    assert "Traceback" not in err.decode()
    if killed == 1:
        assert process.returncode == 1
        assert "rank 1 died (SIGKILL)" in Run((tmp_path / "runs" / "latest").resolve()).result.error


@pytest.mark.slow
def test_the_wheel_carries_the_configuration(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    yamls = {f"aevq/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert yamls <= set(names)


# torchrun with two nodes: two agents on this machine, each in a network of its own where that is permitted

ON_TWO_NODES = [*SMALL_VQVAE, "trainer=ddp_sim", "trainer.devices=1", "trainer.num_nodes=2"]
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
                    [*command, "-m", "aevq.train", *ON_TWO_NODES],
                    cwd=folder,
                    env=os.environ | device,
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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_agents_of_torchrun_make_one_run(tmp_path):
    """It equals the run of two processes that Lightning starts."""
    by_torchrun = train_on_two_nodes(tmp_path / "agents", ("127.0.0.1", "127.0.0.1"), None)
    on_one = [*ON_TWO_NODES, "trainer.devices=2", "trainer.num_nodes=1"]
    run_command("train", tmp_path, *on_one).check_returncode()
    assert_same(by_torchrun, Run((tmp_path / "runs" / "latest").resolve()))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_agents_in_two_networks_make_one_run(tmp_path, networks):
    run = train_on_two_nodes(tmp_path / "agents", networks, NAMES)
    assert run.result.status == "finished"
