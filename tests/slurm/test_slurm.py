"""A real SLURM of one node: a sweep of jobs, jobs of two tasks, jobs that are preempted and resume.

`pytest tests/slurm -m slow -s` prints each command and its result.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from aevq.runs.run import Run
from helpers.same_runs import assert_same
from helpers.small_runs import SMALL_VQVAE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CLUSTER = Path(__file__).parent / "cluster.sh"
PYTHON = sys.executable
ON_A_CPU = ["hydra.launcher.gpus_per_node=null", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2"]
VQVAE = [*SMALL_VQVAE, "trainer.max_steps=300", "trainer.val_check_interval=100"]
VQVAE += ["prior.pixelcnn.max_steps=20", "prior.pixelcnn.val_every_steps=10", "trainer.log_every_n_steps=5"]


class Cluster:
    """Runs commands on the cluster and prints them."""

    def __init__(self, folder: Path):
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: str, cwd: Path, check: bool = True) -> str:
        print(f"$ {shlex.join(command).replace(PYTHON, 'python')}", flush=True)
        done = subprocess.run(
            command, cwd=cwd, env=self.environment, capture_output=True, text=True, timeout=900, check=False
        )
        print(done.stdout.rstrip(), flush=True)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def submit(self, folder: Path, tasks: int, *arguments: str) -> str:
        """Submit a job that trains with `tasks` processes that SLURM starts; return its id."""
        train = shlex.join(["srun", "--kill-on-bad-exit", PYTHON, "-m", "aevq.train", *arguments])
        options = [f"--ntasks-per-node={tasks}", "--requeue", "--open-mode=append"]
        options += [f"--output={folder / '%j.log'}", f"--wrap={train}"]
        return self.run("sbatch", "--parsable", *options, cwd=folder).strip()

    def state(self, job: str) -> str:
        shown = subprocess.run(
            ["scontrol", "show", "job", "-o", job], env=self.environment, capture_output=True, text=True, check=False
        )
        fields = dict(part.split("=", 1) for part in shown.stdout.split() if "=" in part)
        return f"{fields.get('JobState', 'GONE')} restarts={fields.get('Restarts')} exit={fields.get('ExitCode')}"

    def wait(self, job: str, folder: Path) -> None:
        """Wait until it is completed."""
        deadline, shown = time.monotonic() + 600, ""
        while not shown.startswith("COMPLETED"):
            if (state := self.state(job)) != shown:
                print(f"  job {job}: {state}", flush=True)
                shown = state
            assert not shown.startswith(("FAILED", "CANCELLED", "TIMEOUT")), (folder / f"{job}.log").read_text()[-3000:]
            assert time.monotonic() < deadline, shown
            time.sleep(0.5)


@pytest.fixture(scope="module")
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="aevq-slurm-"))  # pytest's own folders are closed to the user munge
    started = subprocess.run([str(CLUSTER), "start", str(folder)], capture_output=True, text=True, check=False)
    if started.returncode == 3:
        pytest.skip(f"no SLURM here: {started.stderr.strip()}")
    assert started.returncode == 0, started.stderr
    try:
        yield Cluster(folder)
    finally:
        subprocess.run([str(CLUSTER), "stop", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def the_run(folder: Path) -> Run:
    """Return the one run of a folder."""
    (path,) = (path for path in folder.glob("runs/**/result.json") if not path.parent.is_symlink())
    print(f"  {path.relative_to(folder)}: {json.loads(path.read_text())['status']}", flush=True)
    return Run(path.parent)


def until_step(folder: Path, step: int) -> None:
    """Wait until the run in a folder has logged this step."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for path in folder.glob("runs/**/metrics.csv"):
            steps = [int(row.split(",")[0]) for row in path.read_text().splitlines()[1:] if row.count(",") == 2]
            if steps and max(steps) >= step:
                return
        time.sleep(0.02)
    raise AssertionError(f"no step {step} in {folder}")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    names = ("whole", "one", "two", "taken", "sweep", "swept")
    return {name: tmp_path_factory.mktemp(name) for name in names}


@pytest.fixture(scope="module")
def whole(cluster, folders):
    """The same run in one process, without a cluster."""
    cluster.run(PYTHON, "-m", "aevq.train", *VQVAE, cwd=folders["whole"])
    return the_run(folders["whole"])


@pytest.fixture(scope="module")
def two_tasks(cluster, folders):
    job = cluster.submit(folders["two"], 2, "trainer=ddp_sim", *VQVAE)
    cluster.wait(job, folders["two"])
    return the_run(folders["two"])


def test_two_tasks_are_one_run(two_tasks):
    assert two_tasks.path.name.startswith("slurm-")
    assert two_tasks.result.status == "finished"
    assert {path.name for path in two_tasks.path.glob("train*.log")} == {"train.log", "train.rank1.log"}
    assert (two_tasks.path.parent / "latest").resolve() == two_tasks.path


def test_a_job_that_gets_sigusr1_requeues_itself_and_resumes_exactly(cluster, folders, whole):
    folder = folders["one"]
    job = cluster.submit(folder, 1, *VQVAE)
    until_step(folder, 30)
    cluster.run("scancel", "--signal=USR1", job, cwd=folder)
    cluster.wait(job, folder)
    run = the_run(folder)
    assert run.result.resumed == 1
    assert "restarts=1" in cluster.state(job)
    assert_same(run, whole)


def test_a_job_of_two_tasks_that_slurm_requeues_resumes_exactly(cluster, folders, two_tasks):
    folder = folders["taken"]
    job = cluster.submit(folder, 2, "trainer=ddp_sim", *VQVAE)
    until_step(folder, 30)
    cluster.run("scontrol", "requeue", job, cwd=folder)
    cluster.wait(job, folder)
    run = the_run(folder)
    assert run.result.resumed == 1
    assert_same(run, two_tasks)


@pytest.fixture(scope="module")
def sweep(cluster, folders):
    command = [PYTHON, "-m", "aevq.train", "-m", "hydra/launcher=slurm_gpu", *ON_A_CPU, *VQVAE, "seed=0,1"]
    cluster.run(*command, cwd=folders["sweep"])
    return folders["sweep"]


def test_a_sweep_is_an_array_of_jobs_with_one_report(sweep, whole):
    (folder,) = (sweep / "runs" / "sweep").iterdir()
    runs = [Run(path.parent) for path in sorted(folder.glob("*/result.json"))]
    assert [run.path.name for run in runs] == ["0_vqvae_mnist5k_s0", "1_vqvae_mnist5k_s1"]
    assert (folder / "report" / "index.html").is_file()
    assert_same(runs[0], whole)


def test_a_job_of_a_sweep_that_gets_the_signal_of_submitit_resumes_exactly(cluster, folders, whole):
    """As it does before its time limit: submitit puts it back into the queue, after it has saved."""
    folder = folders["swept"]
    command = [PYTHON, "-m", "aevq.train", "-m", "hydra/launcher=slurm_gpus", *ON_A_CPU, *VQVAE]
    print(f"$ {shlex.join(command).replace(PYTHON, 'python')}", flush=True)
    launcher = subprocess.Popen(command, cwd=folder, env=cluster.environment, stdout=subprocess.PIPE, text=True)
    until_step(folder, 30)
    job = cluster.run("squeue", "--noheader", "--format=%i", cwd=folder).split()[0]
    cluster.run("scancel", "--signal=USR2", job, cwd=folder)
    out, _ = launcher.communicate(timeout=600)
    print(out, flush=True)
    assert launcher.returncode == 0
    run = the_run(folder)
    assert run.path.name == "0_vqvae_mnist5k_s0"
    assert run.result.resumed == 1
    assert_same(run, whole)
