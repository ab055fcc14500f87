"""A run's config.yaml, read as what a stranger may have written: plain values, and nothing that acts while it is read.

An interpolation could read the environment, an alias could grow a small file to fill the memory, so neither is taken; a
run writes neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import OmegaConf

from aevq.errors import UserError
from aevq.runs.sealed import unseal_yaml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_config"]

LARGEST = 1 << 20  # bytes; a run's has some thousands


def read_config(path: Path, must_be_sealed: bool = False) -> dict[str, Any]:
    """The configuration in a file, plain values.

    Args:
        path: The file.
        must_be_sealed: Whether the run says that it wrote a SHA-256 into it.

    Raises:
        UserError: If it is not readable, was changed, or is not of plain values.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"expected at most {LARGEST} bytes")
        text = unseal_yaml(path.read_text(encoding="utf-8"), must_be_sealed)
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ValueError("an alias; refused")
        config: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except Exception as error:  # whatever a stranger's bytes provoke
        raise UserError(f"{path}: not a run's configuration ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict):
        raise UserError(f"{path}: not a run's configuration")
    _refuse_interpolations(config, str(path))
    return config


def _refuse_interpolations(node: Any, path: str) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            _refuse_interpolations(key, path)
            _refuse_interpolations(value, f"{path}: {key}")
    elif isinstance(node, list):
        for value in node:
            _refuse_interpolations(value, path)
    elif isinstance(node, str) and "${" in node:
        raise UserError(f"{path}: an interpolation, {node!r}, where a run writes plain values; refused")
