"""Compose a configuration and instantiate its parts, as `python -m aevq.train` does."""

from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from aevq.config.command_line import config_root
from aevq.config.instantiate import EVERYTHING, instantiate


def compose_config(*overrides: str) -> DictConfig:
    """Return the configuration that `python -m aevq.train` would have with these overrides."""
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        return compose("train", list(overrides))


def make(node: DictConfig, **arguments: Any) -> Any:
    """Instantiate a node of a configuration of our own, with further arguments of its class."""
    return instantiate(node, "config", trust=EVERYTHING, **arguments)
