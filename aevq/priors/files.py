"""A fitted prior as one safetensors file: its tensors, and its class, arguments and latent spec in the header."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from aevq.config.instantiate import build
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.latents import spec_from_dict, spec_to_dict
from aevq.nn.memory import check_size

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor

    from aevq.latents import LatentSpec
    from aevq.priors.base import Prior

__all__ = ["build_prior", "fitted_to", "load_prior", "save_prior"]

SEAL = "sha256"
SPARE = 1 << 20  # bytes that a prior may need beside what its file holds


def build_prior(config: dict[str, Any], spec: LatentSpec, trust: Iterable[str] = (), path: str = "prior") -> Prior:
    """An unfitted prior for latents of that spec.

    Args:
        config: `_target_` and arguments, plain values.
        spec: What it is to draw.
        trust: See `aevq.config.instantiate.build`.
        path: Its key in the configuration, for errors.

    Raises:
        UserError: If the prior is not made for such latents, or an argument is bad.
    """
    return build(config, trust, path, spec=spec)


def save_prior(prior: Prior, config: dict[str, Any], path: Path, fitted_to: str = "") -> None:
    """Write `prior` all or nothing.

    Args:
        prior: Built from `config`.
        config: `_target_` and arguments, plain values.
        path: The file.
        fitted_to: Identifies the model whose latents it was fitted to.
    """
    header = {"config": json.dumps(config), "spec": json.dumps(spec_to_dict(prior.spec)), "fitted_to": fitted_to}
    tensors = {name: tensor.contiguous().cpu() for name, tensor in prior.state_dict().items()}  # type: ignore[attr-defined]
    atomic_write(path, safetensors.torch.save(tensors, metadata=header | {SEAL: _digest(header, tensors)}))


def load_prior(path: Path, trust: Iterable[str] = ()) -> Prior:
    """The prior of a file written by `save_prior`.

    Raises:
        UserError: If the file is not one, or its tensors do not fit its class.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        seal = header.pop(SEAL, None)
        if seal is not None and seal != _digest(header, tensors):
            raise ValueError("it was changed since it was written: its SHA-256 does not fit")
        config, spec = json.loads(header["config"]), spec_from_dict(json.loads(header["spec"]))
        limit = SPARE + 2 * path.stat().st_size
        check_size(lambda: build_prior(config, spec, trust), "prior", limit, "what its file can hold")  # type: ignore[arg-type, return-value]
        prior = build_prior(config, spec, trust)
        prior.load_state_dict(tensors)  # type: ignore[attr-defined]
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise UserError(f"{path}: not a fitted prior of aevq ({' '.join(str(error).split())})") from error
    return prior


def _digest(header: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """SHA-256 over header and tensors: the format has none of its own."""
    sha = sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def fitted_to(path: Path) -> str | None:
    """What identifies the model that the prior in a file was fitted to; None where there is no such file."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("fitted_to", "")
    except (OSError, SafetensorError):
        return None
