"""A fitted prior as one safetensors file: its tensors, and its class, arguments and latent spec in the header."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import SafetensorError, safe_open

from aevq.build import build
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.latents import spec_from_dict, spec_to_dict

if TYPE_CHECKING:
    from pathlib import Path

    from aevq.latents import LatentSpec
    from aevq.priors.base import Prior

__all__ = ["build_prior", "load_prior", "save_prior"]


def build_prior(config: dict[str, Any], spec: LatentSpec) -> Prior:
    """An unfitted prior for latents of that spec.

    Args:
        config: `_target_` and arguments, plain values.
        spec: What it is to draw.

    Raises:
        UserError: If the prior is not made for such latents, or an argument is bad.
    """
    return build(config, spec=spec)


def save_prior(prior: Prior, config: dict[str, Any], path: Path) -> None:
    """Write `prior`, built from `config`, to `path`, all or nothing."""
    header = {"config": json.dumps(config), "spec": json.dumps(spec_to_dict(prior.spec))}
    tensors = {name: tensor.contiguous() for name, tensor in prior.state_dict().items()}  # type: ignore[attr-defined]
    atomic_write(path, safetensors.torch.save(tensors, metadata=header))


def load_prior(path: Path) -> Prior:
    """The prior of a file written by `save_prior`.

    Raises:
        UserError: If the file is not one, or its tensors do not fit its class.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        prior = build_prior(json.loads(header["config"]), spec_from_dict(json.loads(header["spec"])))
        prior.load_state_dict(tensors)  # type: ignore[attr-defined]
    except (OSError, SafetensorError, KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not a fitted prior of aevq ({' '.join(str(error).split())})") from error
    return prior
