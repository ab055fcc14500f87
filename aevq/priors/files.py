"""A fitted prior as one safetensors file: its tensors, and in the header how it is built and what it was fitted to.

The header also holds the seconds that the fit took, where they are known.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from safetensors import SafetensorError, safe_open

from aevq.config.checks import to_config
from aevq.config.instantiate import instantiate
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.priors.base import Prior

SECONDS: Final = "seconds"  # in the header


def save_prior(prior: Prior, path: Path, weights: str = "") -> None:
    """Write a fitted prior atomically; `weights` identifies those of the model that encoded its latents."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in prior.state_dict().items()}
    seconds = {} if prior.fit_seconds is None else {SECONDS: repr(float(prior.fit_seconds))}
    atomic_write(path, safetensors.torch.save(tensors, metadata=_header(prior, weights) | seconds))


def load_prior(path: Path, trust: Iterable[str] = ()) -> Prior:
    """Read a prior that `save_prior` has written; `trust` names packages whose classes it may use besides aevq's.

    Raises:
        UserError: If the file is not one, names a class that is not trusted, or its tensors do not fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        prior = instantiate(json.loads(header["prior"]), "prior", Prior, trust=trust)
        prior.load_state_dict(tensors)
        prior.fit_seconds = float(header[SECONDS]) if SECONDS in header else None
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise UserError(f"{path}: not a fitted prior of aevq ({' '.join(str(error).split())})") from error
    return prior


def is_fitted(path: Path, prior: Prior, weights: str) -> bool:
    """Return whether a file holds `prior`, with the same arguments, fitted to latents of these weights."""
    header = _read_header(path)
    return {key: value for key, value in header.items() if key != SECONDS} == _header(prior, weights)


def fitted_config(path: Path, weights: str) -> dict[str, Any] | None:
    """Return the configuration, without `spec`, of the prior in a file; None if it was not fitted to these weights."""
    header = _read_header(path)
    if header.get("fitted_to") != weights:
        return None
    with suppress(KeyError, ValueError, RecursionError):
        config = json.loads(header["prior"])
        if isinstance(config, dict):
            return {name: value for name, value in config.items() if name != "spec"}
    return None


def _read_header(path: Path) -> dict[str, str]:
    """Return the header of a file; empty if it is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def _header(prior: Prior, weights: str) -> dict[str, str]:
    return {"prior": json.dumps(to_config(prior)), "fitted_to": weights}
