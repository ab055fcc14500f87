"""A run that is read from its folder: everything after training knows a run only by its folder.

aevq.load("latest").sample(64, prior="mixture", seed=0)      # (64, 1, 28, 28) in [0, 1]
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from aevq.config.instantiate import instantiate
from aevq.data import ImageDataModule
from aevq.errors import UserError, did_you_mean, expect_int
from aevq.metrics.generate import encode_all, generate, interpolate, reconstruct_all
from aevq.models import LatentModel
from aevq.priors import Prior, SampleOptions, is_fitted, load_prior
from aevq.runs.folder import CONFIG_FILE, RESULT_FILE, claimed, find_run, is_run, read_config
from aevq.runs.result import Result, read_result


class Run:
    """A run folder.

    Args:
        path: The folder.
        trust: Prefixes of class names, for example `mypackage.`, that its configuration may instantiate besides the
            parts of aevq.

    Attributes:
        checkpoints: Folder of `best.ckpt` and `last.ckpt`.
        priors: Folder of the fitted priors, `<name>.safetensors`.
        images: Folder of the plots and sample images.
    """

    def __init__(self, path: Path, trust: Iterable[str] = ()) -> None:
        self.path, self.trust = path, tuple(trust)
        self.checkpoints, self.priors, self.images = path / "checkpoints", path / "priors", path / "images"

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def config(self) -> DictConfig:
        """The run's own configuration, resolved."""
        return OmegaConf.create(read_config(self.path / CONFIG_FILE))

    @property
    def result(self) -> Result:
        """The content of result.json, read anew at each access."""
        return read_result(self.path / RESULT_FILE)

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return is_run(self.path) and self.result.status == "finished"

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the best checkpoint, stored with all that is fitted to or measured on these weights."""
        return sha256((self.checkpoints / "best.ckpt").read_bytes()).hexdigest()

    @cached_property
    def model(self) -> LatentModel:
        """The model of the best checkpoint, in eval mode, on the CPU."""
        return LatentModel.load_from_checkpoint(self.checkpoints / "best.ckpt", trust=self.trust).eval()

    @cached_property
    def data(self) -> ImageDataModule:
        """The data that the run was trained on; a UserError if those found are others."""
        data = instantiate(self.config.data, "data", ImageDataModule, trust=self.trust)
        data.prepare()
        if data.fingerprint != self.result.data["fingerprint"]:
            raise UserError(f"{self.path.name}: the data found differ from those that it was trained on")
        return data

    def claimed(self) -> AbstractContextManager[None]:
        """Make this process the only one that writes into the folder; see `aevq.runs.folder.claimed`."""
        return claimed(self.path, "run")

    def prior_names(self) -> list[str]:
        """Return the names of the fitted priors, in alphabetical order."""
        return sorted(path.stem for path in self.priors.glob("*.safetensors"))

    def prior_file(self, name: str) -> Path:
        """Return where a fitted prior of this name is kept."""
        return self.priors / f"{name}.safetensors"

    def default_prior(self) -> str:
        """Return the name of the last prior in the run's configuration that was fitted; a UserError if none was."""
        known = self.prior_names()
        if not known:
            raise UserError(f"{self.path}: the run has no fitted prior to sample from")
        return next((str(name) for name in reversed(list(self.config.prior)) if name in known), known[-1])

    def prior(self, name: str | None = None) -> Prior:
        """Return a fitted prior, by default `default_prior()`; a UserError if the run has no prior of this name."""
        known, name = self.prior_names(), name or self.default_prior()
        if name not in known:
            raise UserError(f"prior: run {self.path.name} has no prior {name!r}; {did_you_mean(name, known)}")
        path = self.prior_file(name)
        prior = load_prior(path, self.trust)
        if not is_fitted(path, prior, self.weights_sha256):
            raise UserError(f"{path}: fitted to other weights; resume={self.path.name} fits the prior again")
        return prior

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents `(B, *latent_spec.shape)` of images `(B, C, H, W)` in [0, 1]."""
        return encode_all(self.model, x)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the images `(B, C, H, W)` in [0, 1] of latents `(B, *latent_spec.shape)`."""
        with torch.inference_mode():
            return self.model.decode(latents.to(self.model.device)).cpu()

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the reconstructions of images `(B, C, H, W)` in [0, 1]: the same shape and range."""
        return reconstruct_all(self.model, x)

    def interpolate(self, a: Tensor, b: Tensor, steps: int = 8) -> Tensor:
        """Return images `(B, steps, C, H, W)` on the paths between the latents of images `a` and `b`, `(B, C, H, W)`.

        Each path includes the reconstructions of both ends; all images are in [0, 1].
        """
        return interpolate(self.model, a, b, steps)

    def sample(
        self,
        n: int,
        prior: str | None = None,
        seed: int = 0,
        label: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        guidance: float | None = None,
    ) -> Tensor:
        """Sample `n` new images, `(n, C, H, W)` in [0, 1], by a fitted prior; the same seed gives the same images.

        Args:
            n: Number of images.
            prior: Name of the prior, by default `default_prior()`.
            seed: Seed of the random numbers.
            label: Class of the images, for a conditional prior; None draws one for each image.
            temperature: Below 1 the images are more typical and less diverse; None samples from p(z), as 1 does.
            top_p: Draw each value from the most probable ones, whose probabilities add up to this; None: from all.
            guidance: Strength of classifier-free guidance, for a conditional prior; None is 0.

        Raises:
            UserError: If the run has no such prior, the prior lacks an option, or `label` was left out of the training.
        """
        return self.sample_with(SampleOptions(label, temperature, top_p, guidance), n, prior, seed)

    def sample_with(self, options: SampleOptions, n: int, prior: str | None = None, seed: int = 0) -> Tensor:
        """Sample as `sample` does, with its options in one object."""
        expect_int("n", n, 1)
        name = prior or self.default_prior()
        fitted = self.prior(name)
        arguments = options.arguments(fitted, name, n)
        left_out = self.result.data.get("left_out")
        if options.label is not None and options.label == left_out:
            raise UserError(f"label: class {left_out} was left out of the training of this run (data.leave_out)")
        return generate(self.model, fitted, n, seed, **arguments)


def load(run: str | Path = "latest", runs: str | Path = "runs", trust: Iterable[str] = ()) -> Run:
    """Return a run by its name or path.

    Args:
        run: `latest`, the name of a folder in `runs`, or the path of a run folder.
        runs: Where runs are kept.
        trust: Your own packages, for example `["mypackage."]`, whose classes the run may name; others are refused.

    Raises:
        UserError: If there is no such run.
    """
    return Run(find_run(str(run), Path(runs)), trust)
