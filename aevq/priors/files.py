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


def save_prior(prior: Prior, path: Path, fitted_to: str = "") -> None:
    """Write a fitted prior atomically; `fitted_to` identifies the weights of the model that encoded its latents."""
    header = {"prior": json.dumps(to_config(prior)), "fitted_to": fitted_to}
    tensors = {name: tensor.contiguous().cpu() for name, tensor in prior.state_dict().items()}
    atomic_write(path, safetensors.torch.save(tensors, metadata=header))


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


def fitted_to(path: Path) -> str | None:
    """Return what the prior in a file was fitted to; None where there is no readable file."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("fitted_to", "")
    except (OSError, SafetensorError):
        return None
