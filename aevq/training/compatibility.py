"""Whether a whole configuration makes sense, asked before any data are read and any file is written.

What a part takes, its own annotations say (see `aevq.config.schema`). Here stands what no part can know alone: which
keys there are beside the parts, and which parts go together.
"""

from __future__ import annotations

import os
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl
import torch

from aevq.config.instantiate import EVERYTHING, check
from aevq.config.schema import Count, Name, Seed, Text, check_value
from aevq.config.secrets import refuse_secrets
from aevq.errors import UserError, did_you_mean, expect, shown
from aevq.models import LatentModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aevq.data import MNISTDataModule
    from aevq.priors import Prior

__all__ = ["VALUES", "check_config", "check_parts"]

VALUES: dict[str, Any] = {
    "seed": Seed,
    "prior_max_steps": Count,
    "steps_at_once": Count,
    "compile": Literal["default", "reduce-overhead", "max-autotune"] | None,
    "resume": Text | int | None,
    "trust": list[Text],
    "objective": Text,
    "tags": list[str],
    "notes": str | None,
    "matmul_precision": Literal["highest", "high", "medium"],
    "show_traceback": bool,
}
PARTS: dict[str, type | None] = {
    "data": pl.LightningDataModule,  # first: what it states of its images, a model is built by
    "model": LatentModel,
    "evaluation": None,
    "pictures": None,
}
# Groups of parts, with the arguments that do not come from the configuration.
FAMILIES: dict[str, tuple[str, ...]] = {"prior": ("spec",), "logger": ("run_dir",), "callbacks": ()}
TRAINER = "pytorch_lightning.Trainer"
OF_A_CLUSTER = ("SLURM_JOB_ID", "MASTER_ADDR", "TORCHELASTIC_RUN_ID")


def check_config(plain: Mapping[str, Any], trust: Iterable[str] = EVERYTHING) -> None:
    """Check a whole configuration, key by key, without building anything.

    Args:
        plain: Plain values.
        trust: See `aevq.config.instantiate.build`.

    Raises:
        UserError: At the first key that is unknown, missing, or has a value of a wrong type or range.
    """
    keys = {*VALUES, *PARTS, *FAMILIES, "trainer", "paths"}
    for key in plain:
        if key not in keys:
            raise UserError(f"{shown(key)}: no such key in the configuration; {did_you_mean(key, keys)}")
    for key in keys:
        if key not in plain:
            raise UserError(f"{key}: missing")
    for key, annotation in VALUES.items():
        check_value(key, plain[key], annotation)
    _check_paths(plain["paths"])
    for key, kind in PARTS.items():
        check(plain[key], trust, key)
        _check_kind(plain[key], trust, key, kind)
    for family, given in FAMILIES.items():
        _check_family(family, plain[family], given, trust)
    _check_trainer(plain["trainer"])
    refuse_secrets(plain)


def check_parts(plain: Mapping[str, Any], model: LatentModel, priors: Sequence[Prior], data: MNISTDataModule) -> None:
    """Check what parts mean to each other. They are built; no data are read.

    Raises:
        UserError: If they do not go together; it names the key to change.
    """
    _check_likelihood(plain, model)
    _check_images(plain, model, data)
    _check_sizes(plain, priors, data)
    _check_classes(plain, priors, data)


def _check_paths(paths: Any) -> None:
    check_value("paths", paths, dict[str, Any])
    for key in paths:
        expect(key == "runs", f"paths.{shown(key)}", "paths.runs, the only one", paths[key])
    check_value("paths.runs", paths.get("runs"), Text)


def _check_kind(node: Mapping[str, Any], trust: Iterable[str], key: str, kind: type | None) -> None:
    found = resolve_name(node["_target_"])
    if kind is not None and isinstance(found, type) and not issubclass(found, kind):
        raise UserError(f"{key}._target_: expected a {kind.__name__}, got {node['_target_']}")


def _check_family(family: str, nodes: Any, given: tuple[str, ...], trust: Iterable[str]) -> None:
    check_value(family, nodes, dict[str, Any])
    for name, node in nodes.items():
        check_value(f"{family}.{shown(name)}", name, Name)
        check(node, trust, f"{family}.{name}", given)
        if family == "callbacks":
            _check_kind(node, trust, f"{family}.{name}", pl.Callback)


def _check_trainer(node: Any) -> None:
    expect(isinstance(node, dict), "trainer", "a mapping", node)
    target = node.get("_target_")
    expect(target == TRAINER, "trainer._target_", TRAINER, target)
    check(node, (TRAINER.partition(".")[0],), "trainer")
    unlimited = node.get("max_steps", -1) == -1 and node.get("max_epochs") in (None, -1)
    expect(not unlimited, "trainer.max_steps", "a limit, here or in trainer.max_epochs", node.get("max_steps"))
    _check_devices(node)


def _check_devices(node: Mapping[str, Any]) -> None:
    """Refuse more devices than there are."""
    accelerator, devices = node.get("accelerator", "auto"), node.get("devices", "auto")
    if node.get("num_nodes", 1) > 1 and not any(name in os.environ for name in OF_A_CLUSTER):
        raise UserError(f"trainer.num_nodes: expected 1 outside a cluster's job, got {node['num_nodes']}")
    gpus = torch.cuda.device_count()
    if accelerator in ("gpu", "cuda") and gpus == 0 and not torch.backends.mps.is_available():
        raise UserError(f"trainer.accelerator: this machine has no GPU, got {accelerator!r}; trainer=cpu is for it")
    wanted = max(devices) + 1 if isinstance(devices, list) and devices else devices
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and gpus == 0)
    there = max(2, os.cpu_count() or 1) if on_cpu else gpus
    if isinstance(wanted, int) and there and wanted > there:
        kind = "processes on this machine's cores" if on_cpu else "GPUs of this machine"
        raise UserError(f"trainer.devices: expected at most {there} ({kind}), got {devices}")


def _check_likelihood(plain: Mapping[str, Any], model: LatentModel) -> None:
    if getattr(model.likelihood, "for_binary_images", False) and plain["data"].get("binarize") == "none":
        raise UserError(
            "model/likelihood: bernoulli is one of binary images, and data.binarize=none leaves them grey; "
            "data.binarize=dynamic makes them binary, model/likelihood=cross_entropy says that grey ones are meant"
        )


def _check_images(plain: Mapping[str, Any], model: LatentModel, data: MNISTDataModule) -> None:
    """See that the model takes the data's images, by giving it two black ones."""
    shape = tuple(data.image_shape)
    asked = plain["model"].get("image_shape")
    if asked is not None and tuple(asked) != shape:
        raise UserError(f"model.image_shape: expected {list(shape)}, as {data.name} has them, got {list(asked)}")
    training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            model.terms(torch.zeros(2, *shape))
    except UserError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"model: cannot take images of {data.name}, {list(shape)} ({reason})") from error
    finally:
        model.train(training)


def _check_sizes(plain: Mapping[str, Any], priors: Iterable[Prior], data: MNISTDataModule) -> None:
    """See that batches and priors ask for no more images than the train split will have."""
    images, batch_size = data.train_size, data.batch_size
    expect(images > 0, "data.val_size", f"less than {images + data.val_size}, the train images", data.val_size)
    expect(batch_size <= images, "data.batch_size", f"at most {images} (train images)", batch_size)
    for name, prior in zip(plain["prior"], priors, strict=True):
        fewest = getattr(prior, "fewest_latents", 0)
        expect(fewest <= images, f"prior.{name}", f"to be fitted to at most {images} train images", fewest)


def _check_classes(plain: Mapping[str, Any], priors: Iterable[Prior], data: MNISTDataModule) -> None:
    """See that a class-conditional prior knows the data's classes."""
    for name, prior in zip(plain["prior"], priors, strict=True):
        known = getattr(prior, "num_classes", None)
        wanted = f"{data.num_classes}, the classes of {data.name}"
        expect(known in (None, data.num_classes), f"prior.{name}.num_classes", wanted, known)
