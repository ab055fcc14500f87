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
    """Write a fitted prior, all or nothing.

    Args:
        prior: The prior.
        path: The file.
        fitted_to: Identifies the weights of the model whose latents it was fitted to.
    """
    header = {"prior": json.dumps(to_config(prior)), "fitted_to": fitted_to}
    tensors = {name: tensor.contiguous().cpu() for name, tensor in prior.state_dict().items()}
    atomic_write(path, safetensors.torch.save(tensors, metadata=header))


def load_prior(path: Path, trust: Iterable[str] = ()) -> Prior:
    """Read a prior that `save_prior` has written.

    Args:
        path: The file.
        trust: Packages whose classes it may name besides those of aevq.

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
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("fitted_to", "")
    except (OSError, SafetensorError):
        return None
