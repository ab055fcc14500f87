"""The run folder, and a run that is read from it: everything after training knows a run only by its folder.

import aevq
run = aevq.load("latest")
run.sample(64, prior="mixture", seed=0)      # (64, 1, 28, 28) in [0, 1]
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from aevq.config.instantiate import build
from aevq.errors import UserError, did_you_mean
from aevq.files import load_plain
from aevq.metrics.generate import encode_all, generate, reconstruct_all
from aevq.nn.memory import check_size
from aevq.priors import load_prior
from aevq.runs.configs import read_config
from aevq.runs.result import Result, read_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from aevq.data import MNISTDataModule
    from aevq.models import LatentModel
    from aevq.priors import Prior

__all__ = ["Run", "create_folder", "find_run", "load", "load_checkpoint"]

LATEST = "latest"
SPARE = 1 << 20  # bytes that a model may need beside what its file holds


class Run:
    """A run folder.

    Args:
        path: The folder.
        trust: Beginnings of names, say `mypackage.`, that its configuration may build besides the parts of aevq.
    """

    def __init__(self, path: Path, trust: Iterable[str] = ()) -> None:
        self.path = path
        self.trust = tuple(trust)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def checkpoints(self) -> Path:
        """Folder of `best.ckpt` and `last.ckpt`."""
        return self.path / "checkpoints"

    @property
    def priors(self) -> Path:
        """Folder of the fitted priors, `<name>.safetensors`."""
        return self.path / "priors"

    @property
    def images(self) -> Path:
        """Folder of the pictures."""
        return self.path / "images"

    @property
    def config(self) -> DictConfig:
        """The run's own configuration, resolved.

        Raises:
            UserError: If it is not readable, was changed, or is not of plain values.
        """
        return OmegaConf.create(read_config(self.path / "config.yaml", self.result.sealed))

    @property
    def result(self) -> Result:
        """What the run came to so far."""
        return read_result(self.path / "result.json")

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the best checkpoint: what is fitted to these weights, or measured of them, says so."""
        return sha256((self.checkpoints / "best.ckpt").read_bytes()).hexdigest()

    @cached_property
    def model(self) -> LatentModel:
        """The model of the best checkpoint, in eval mode, on the CPU."""
        return load_checkpoint(self.checkpoints / "best.ckpt", self.trust)

    @cached_property
    def data(self) -> MNISTDataModule:
        """The data that the run was trained on; `data.images("test")` is float32 `(N, C, H, W)` in [0, 1].

        Raises:
            UserError: If the data found are not those of the run.
        """
        data: MNISTDataModule = build(self.config.data, self.trust)
        data.prepare()
        if data.fingerprint != self.result.data["fingerprint"]:
            raise UserError(f"{self.path.name}: the data found are not those that it was trained on")
        return data

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Be the only process that writes into this folder; the claim of one that dies ends with it.

        Raises:
            UserError: If another process has claimed it.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"run: another process is writing into {self.path}") from None
        except (OSError, NotImplementedError):  # a file system that has no locks
            yield
            return
        try:
            yield
        finally:
            lock.release()

    def prior_names(self) -> list[str]:
        """Names of the fitted priors, in alphabetical order."""
        return sorted(path.stem for path in self.priors.glob("*.safetensors"))

    def default_prior(self) -> str:
        """The last of the fitted priors that the run's configuration lists.

        Raises:
            UserError: If there is none.
        """
        known = self.prior_names()
        if not known:
            raise UserError(f"{self.path}: the run has no fitted prior to sample from")
        return next((str(name) for name in reversed(list(self.config.prior)) if name in known), known[-1])

    def prior(self, name: str | None = None) -> Prior:
        """A fitted prior.

        Args:
            name: Which; by default `default_prior()`.

        Raises:
            UserError: If the run has no such prior.
        """
        known = self.prior_names()
        name = name or self.default_prior()
        if name not in known:
            raise UserError(f"prior: run {self.path.name} has no prior {name!r}; {did_you_mean(name, known)}")
        return load_prior(self.priors / f"{name}.safetensors", self.trust)

    def encode(self, x: Tensor) -> Tensor:
        """Images `(N, C, H, W)` in [0, 1] → latents `(N, *latent_spec.shape)`."""
        return encode_all(self.model, x)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(N, *latent_spec.shape)` → images `(N, C, H, W)` in [0, 1]."""
        with torch.inference_mode():
            return self.model.decode(latents.to(self.model.device)).cpu()

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images `(N, C, H, W)` in [0, 1] → their reconstructions."""
        return reconstruct_all(self.model, x)

    def sample(self, n: int, prior: str | None = None, seed: int = 0) -> Tensor:
        """New images.

        Args:
            n: How many.
            prior: Which fitted prior draws the latents; by default the last that the run's configuration lists.
            seed: The same seed gives the same images.

        Returns:
            `(n, C, H, W)` in [0, 1].
        """
        return generate(self.model, self.prior(prior), n, seed)


def load(run: str | Path = LATEST, runs: str | Path = "runs", trust: Iterable[str] = ()) -> Run:
    """A run by its name or path.

    Args:
        run: `latest`, the name of a folder in `runs`, or the path of a run folder.
        runs: Where runs are kept.
        trust: Packages of your own, say `["mypackage."]`, whose classes the run may name; no others are built.

    Raises:
        UserError: If there is no such run.
    """
    return Run(find_run(str(run), Path(runs)), trust)


def find_run(name: str, runs: Path, key: str = "run") -> Path:
    """Folder of the run called `name`; `key` is what an error calls it.

    Raises:
        UserError: If there is none.
    """
    for path in (Path(name), runs / name):
        if (path / "result.json").is_file():
            return path.resolve()
    known = [path.parent.name for path in runs.glob("*/result.json") if not path.parent.is_symlink()]
    if name == LATEST:
        if not known:
            raise UserError(f"{key}=latest: there is no run in {runs.absolute()}")
        return max((runs / n for n in known), key=lambda path: (path / "result.json").stat().st_mtime).resolve()
    hint = did_you_mean(name, known) if len(known) <= 10 else f"({len(known)} runs are in {runs}; or run=latest)"
    raise UserError(f"{key}: no run {name!r} in {runs.absolute()}; {hint}")


def create_folder(parent: Path, name: str) -> Path:
    """A new folder for a run; `name` gets a number where it is taken.

    Raises:
        UserError: If the folder cannot be made.
    """
    for attempt in range(1, 1000):
        path = parent / (name if attempt == 1 else f"{name}-{attempt}")
        if not path.exists():
            try:
                return make_folder(path, exist_ok=False)
            except FileExistsError:
                continue
    raise UserError(f"paths.runs: a thousand runs called {name} are in {parent.absolute()}")


def make_folder(path: Path, exist_ok: bool = True) -> Path:
    """The folder of a run, with those in it.

    Raises:
        FileExistsError: If it is there and `exist_ok` is false.
        UserError: If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
        for folder in ("checkpoints", "priors", "images"):
            (path / folder).mkdir(exist_ok=exist_ok)
    except FileExistsError:
        raise
    except OSError as error:
        raise UserError(f"paths.runs: cannot create {path.absolute()} ({error.strerror})") from error
    return path


def load_checkpoint(path: Path, trust: Iterable[str] = ()) -> LatentModel:
    """The model of a checkpoint, in eval mode, on the CPU. The checkpoint carries its own configuration.

    Raises:
        UserError: If the file is missing, damaged, or names anything but parts of aevq.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such checkpoint; did the run get as far as its first validation?")
    checkpoint = read_checkpoint(path)
    config, limit = checkpoint["config"]["model"], SPARE + 2 * path.stat().st_size
    check_size(lambda: build(config, trust, "model"), str(path), limit, "what its file can hold")
    model: LatentModel = build(config, trust, "model")
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: its weights do not fit its configuration ({reason})") from error
    return model.eval()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The plain content of a checkpoint: tensors and plain values, no pickled code.

    Raises:
        UserError: If it cannot be read so.
    """
    try:
        checkpoint = load_plain(path)
        checkpoint["config"]["model"], checkpoint["state_dict"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable checkpoint of aevq ({error})") from error
    return checkpoint
