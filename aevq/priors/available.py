"""Which priors exist: the yaml files of the group `prior`, in `conf` and in your own folders or packages."""

from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from hydra import compose, initialize_config_dir, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from aevq.config.command_line import config_root
from aevq.errors import UserError
from aevq.latents import LatentSpec

PACKAGE = "pkg://"


def priors_for(
    spec: LatentSpec, searchpath: Sequence[str] = (), config: DictConfig | None = None
) -> dict[str, dict[str, Any]]:
    """Return the configuration of every prior for such latents, by name.

    Args:
        spec: The latents.
        searchpath: Folders, or packages as `pkg://mypackage.conf`, with further priors in their `prior`.
        config: The configuration that the priors take `${seed}` and other values from; by default that of a new run.

    Raises:
        UserError: If a folder or package of `searchpath` has no priors.
    """
    roots = [str(config_root()), *map(_root, searchpath)]
    names = sorted({name for root in roots for name in _names(root)})
    search = "hydra.searchpath=[{}]".format(",".join(roots[1:]))
    with _initialized(roots[0]):
        whole = compose("train", [search, f"prior=[{','.join(names)}]"])
    if config is not None:
        whole = OmegaConf.create({**config, "prior": whole.prior})
    priors: Any = OmegaConf.to_container(whole.prior, resolve=True)
    return {name: node for name, node in priors.items() if isinstance(spec, resolve_name(node["_target_"]).kind)}


def _root(path: str) -> str:
    return path if path.startswith(PACKAGE) else str(Path(path.removeprefix("file://")).expanduser().absolute())


def _names(root: str) -> list[str]:
    with _initialized(root):
        names: list[str] = GlobalHydra.instance().config_loader().get_group_options("prior")
    if not names:
        raise UserError(f"searchpath: {root} has no folder prior with yaml files")
    return names


def _initialized(root: str) -> Any:
    """Return a context in which Hydra reads the configurations in `root`."""
    GlobalHydra.instance().clear()
    if root.startswith(PACKAGE):
        return initialize_config_module(root.removeprefix(PACKAGE), version_base="1.3")
    return initialize_config_dir(root, version_base="1.3")
