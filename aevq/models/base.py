"""What every model offers; `aevq.models.training` holds the steps in which all of them are trained.

    LatentModel:   encode(x) → latent      decode(latent) → x̂      latent_spec      loss_terms(x) → LossTerms

A model computes its loss terms per image, in nats, summed over pixels or latent dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor
from typing_extensions import override

from aevq.config.checks import Configurable, to_config
from aevq.config.instantiate import instantiate
from aevq.errors import UserError
from aevq.files import load_plain
from aevq.latents import LatentSpec
from aevq.models.schedule import WarmupCosine
from aevq.models.training import ADAMW, MakeOptimizer, MakeSchedule, TrainingSteps
from aevq.nn.likelihood import Gaussian, Likelihood

LogPrior = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LossTerms:
    """Named loss terms, each `(B,)`, nats per image.

    Attributes:
        objective: What is minimised.
        distortion: −log p(x|z).
    """

    objective: Tensor
    distortion: Tensor

    def by_name(self) -> dict[str, Tensor]:
        """Return each term, `(B,)`, detached."""
        return {field.name: getattr(self, field.name).detach() for field in fields(self)}

    def means(self) -> dict[str, Tensor]:
        """Return the mean of each term over the batch, `()`, detached."""
        return {name: value.mean() for name, value in self.by_name().items()}


class LatentModel(Configurable, TrainingSteps, ABC):
    """Base of AE, VAE, VQVAE and of the models you add.

    A subclass builds its parts in `__init__`, states its `latent_spec`, and implements `encode`, `decode` and
    `loss_terms`.

    Args:
        likelihood: p(x|z), applied to the decoder's output; by default a Gaussian.
        optimizer: Makes the optimizer from the parameters.
        schedule: Makes the learning rate schedule from the optimizer and the number of steps of the whole training;
            None keeps the rate constant.
    """

    def __init__(
        self,
        likelihood: Likelihood | None = None,
        optimizer: MakeOptimizer = ADAMW,
        schedule: MakeSchedule | None = WarmupCosine(),  # noqa: B008 (it has no state)
    ) -> None:
        super().__init__(optimizer, schedule)
        self.likelihood = likelihood or Gaussian()

    @property
    @abstractmethod
    def latent_spec(self) -> LatentSpec:
        """Kind and shape of the latents."""

    @abstractmethod
    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the latents of images: `(B, C, H, W)` in [0, 1] → `(B, *latent_spec.shape)`.

        Without a `generator` there is no randomness: a variational model returns the mean of q(z|x). With one, on the
        device of `x`, it returns a draw z ~ q(z|x); any other model ignores it and need not have the argument.
        """

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Return the mean images of latents: `(B, *latent_spec.shape)` → `(B, C, H, W)` in [0, 1]."""

    @abstractmethod
    def loss_terms(self, x: Tensor) -> LossTerms:
        """Return the loss terms of images `(B, C, H, W)` in [0, 1], each `(B,)`, nats per image."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return x̂ = decode(encode(x)): `(B, C, H, W)` → the same shape."""
        return self.decode(self.encode(x))

    def embed(self, latent: Tensor) -> Tensor:
        """Return latents as float vectors, `(B, F)`, for projections and probes."""
        return latent.flatten(1)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["model"] = to_config(self)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # Lightning's has arguments for what a checkpoint here carries
        cls, checkpoint_path: str | Path, *, trust: Iterable[str] = ()
    ) -> Self:
        """Return the model of a Trainer's checkpoint, on the CPU.

        The checkpoint holds plain values and says how to build the model. `trust` names packages whose classes it may
        use besides those of aevq and of this class.

        Raises:
            UserError: If the file is missing or damaged, a class is not trusted, or the weights do not fit.
        """
        path = Path(checkpoint_path)
        checkpoint = load_plain(path)
        try:
            with isolate_rng():  # the initial weights are replaced; their random numbers are not taken from the caller
                model = instantiate(checkpoint["model"], "model", cls, trust=(*trust, f"{cls.__module__}."))
            model.load_state_dict(checkpoint["state_dict"])
        except (KeyError, RuntimeError, AttributeError, TypeError) as error:
            raise UserError(f"{path}: not a checkpoint of this model ({' '.join(str(error).split())})") from error
        return model


class VariationalModel(LatentModel):
    """A model with a posterior q(z|x), so that log p(x) can be bounded."""

    @abstractmethod
    def importance_nll(
        self,
        x: Tensor,
        samples: int,
        generator: torch.Generator | None = None,
        log_prior: LogPrior | None = None,
    ) -> Tensor:
        """Return the importance-weighted upper bound of −log p(x): `(B, C, H, W)` → `(B,)`, nats per image.

        `log_prior` is the log p(z) of another prior than the model's own: latents `(N, D)` → `(N,)`, nats.
        """

    @abstractmethod
    def kl_per_dimension(self, x: Tensor) -> Tensor:
        """Return D_KL(q(z_d|x) ‖ p(z_d)): `(B, C, H, W)` → `(B, D)`, nats."""
