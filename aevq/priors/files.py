"""A fitted prior as one safetensors file: its tensors, and in the header how to build it and what it was fitted to."""

import json
from collections.abc import Iterable
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open

from aevq.config.checks import to_config
from aevq.config.instantiate import instantiate
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.priors.base import Prior


def save_prior(prior: Prior, path: Path, weights: str = "") -> None:
    """Write a fitted prior atomically; `weights` identifies those of the model that encoded its latents."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in prior.state_dict().items()}
    atomic_write(path, safetensors.torch.save(tensors, metadata=_header(prior, weights)))


def load_prior(path: Path, trust: Iterable[str] = ()) -> Prior:
    """Read a prior that `save_prior` has written; `trust` names packages whose classes it may use besides aevq's.

    Raises:
        UserError: If the file is not one, names a class that is not trusted, or its tensors do not fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            config = json.loads((file.metadata() or {})["prior"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        prior = instantiate(config, "prior", Prior, trust=trust)
        prior.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise UserError(f"{path}: not a fitted prior of aevq ({' '.join(str(error).split())})") from error
    return prior


def is_fitted(path: Path, prior: Prior, weights: str) -> bool:
    """Return whether a file holds `prior`, with the same arguments, fitted to latents of these weights."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {}) == _header(prior, weights)
    except (OSError, SafetensorError):
        return False


def _header(prior: Prior, weights: str) -> dict[str, str]:
    return {"prior": json.dumps(to_config(prior)), "fitted_to": weights}
