"""Wrong command lines, made from the composed configuration and the annotations of the classes that it names.

For every key: a misspelling, and values that its annotation refuses. For every group: misspelt choices. By hand:
combinations of valid values that do not fit together.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytorch_lightning as pl
from hydra.utils import get_object
from omegaconf import OmegaConf

from aevq.config.checks import Text, validate
from aevq.config.command_line import compose, config_root
from aevq.errors import UserError
from aevq.training.parts import RunConfig, to_plain
from aevq.training.trainer import TrainerArguments

BASES = (
    ["model=ae"],
    ["model=vae"],
    ["model=vqvae"],
    ["model=vae_conv", "prior=mixture", "model/likelihood=laplace"],
    ["model=vqvae", "model/codebook_update=gradient", "prior=marginals", "model/optimizer=adam"],
    ["data=kmnist", "logger=wandb", "callbacks=early_stopping", "prior=mixture100"],
)
WRONG = (
    *("nonsense", "''", "null", "true", "0", "-1", "1.5", "-0.5", "1e400", "nan", "99999999999"),
    *("[]", "[a]", "{a: 1}"),
)
PER_KEY = 5  # wrong values that are tried
LIGHTNING = "+callbacks.x._target_=pytorch_lightning.callbacks"
SCHEDULE = "+model.schedule={_target_:torch.optim.lr_scheduler"


@dataclass(frozen=True)
class Case:
    """One wrong command line."""

    arguments: tuple[str, ...]  # as typed
    names: str  # the key that the error has to name
    near: str = ""  # the nearest valid choice that it has to offer, if there is one

    def __str__(self) -> str:
        return " ".join(self.arguments)


@cache
def composed(*arguments: str) -> dict[str, Any]:
    return to_plain(compose(*arguments))


def keys_of(plain: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key that holds a value, its value, and its annotation: `Any` in a class of another library."""
    yield "paths.runs", plain["paths"]["runs"], Text
    for key, annotation in get_type_hints(RunConfig, include_extras=True).items():
        if key in plain and not isinstance(plain[key], dict):
            yield key, plain[key], annotation
    for group in ("model", "data", "trainer", "evaluation", "plots"):
        yield from _keys_of_node(group, plain[group])
    for family in ("prior", "logger", "callbacks"):
        for name, node in plain[family].items():
            yield from _keys_of_node(f"{family}.{name}", node)


def _keys_of_node(path: str, node: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    annotations = annotations_of(get_object(node["_target_"]))
    for name, value in node.items():
        if isinstance(value, dict) and "_target_" in value:
            yield from _keys_of_node(f"{path}.{name}", value)
        elif not name.startswith("_"):
            yield f"{path}.{name}", value, annotations.get(name, Any)


def annotations_of(target: type) -> dict[str, Any]:
    """Return the annotations that the arguments of a class are checked by."""
    if target is pl.Trainer or is_dataclass(target):
        return get_type_hints(TrainerArguments if target is pl.Trainer else target, include_extras=True)
    found: dict[str, Any] = {}
    for base in target.__mro__:
        if "__init__" in vars(base) and base.__module__.startswith("aevq."):
            found = get_type_hints(inspect.unwrap(vars(base)["__init__"]), include_extras=True) | found
    return found


def is_refused(key: str, text: str, annotation: Any) -> bool:
    """Return whether an annotation refuses what a command line says."""
    value = OmegaConf.to_container(OmegaConf.from_dotlist([f"a={text}"]))["a"]
    try:
        validate(key, value, annotation)
    except UserError:
        return True
    return False


def misspelt(word: str) -> str:
    """Return a word with a typical typing error: two letters are exchanged, or one is left out."""
    return word[:-2] + word[-1] + word[-2] if len(word) > 3 and word[-1] != word[-2] else word[:-1] or "x"


def wrong_values() -> Iterator[Case]:
    for base in BASES:
        for key, _, annotation in keys_of(composed(*base)):
            bad = [text for text in WRONG if is_refused(key, text, annotation)]
            for text in bad[:: max(1, len(bad) // PER_KEY)][:PER_KEY]:
                yield Case((*base, f"{key}={text}"), key)


def wrong_names() -> Iterator[Case]:
    for base in BASES:
        for key, value, annotation in keys_of(composed(*base)):
            parent, dot, name = key.rpartition(".")
            shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else value
            if isinstance(shown, str | int | float):
                yield Case((*base, f"{parent}{dot}{misspelt(name)}='{shown}'"), f"{parent}{dot}{misspelt(name)}", key)
                if parent in ("", "trainer"):
                    continue
                ours = annotation is not Any
                yield Case((*base, f"+{key}_x=1"), f"{key}_x" if ours else f"'{name}_x'", name if ours else parent)


def wrong_choices() -> Iterator[Case]:
    for path in sorted(config_root().rglob("*.yaml")):
        group = path.parent.relative_to(config_root())
        if group == Path() or path.stem in ("none", "default") or path.stem.startswith("_"):
            continue
        model = ("model=vqvae",) if "codebook_update" in str(group) else ()
        yield Case((*model, f"{group}={misspelt(path.stem)}"), str(group), path.stem if len(path.stem) > 3 else "")
    for group in ("model", "data", "prior", "trainer", "logger", "callbacks", "experiment", "model/network"):
        yield Case((f"{misspelt(group)}=x",), misspelt(group), group)


def wrong_together() -> Iterator[Case]:
    """Yield lines whose values are valid one by one, but not together; and other lines by hand."""
    table = {
        "model=vqvae prior=standard_normal": "prior",
        "model=vqvae prior=[uniform,mixture100]": "prior",
        "model=ae prior=uniform": "prior",
        "model=vae_conv prior=[standard_normal,pixelcnn]": "prior",
        "experiment=burda data.binarize=none": "data.binarize",
        "model=vqvae model/likelihood=bernoulli data=kmnist": "data.binarize",
        "trainer=gpu trainer.devices=99": "trainer.",
        "trainer=ddp trainer.devices=99": "trainer.",
        "trainer=cpu trainer.devices=999": "trainer.devices",
        "trainer=ddp_sim trainer.devices=999": "trainer.devices",
        "trainer=cpu trainer.devices=[0,998]": "trainer.devices",
        "trainer=cpu trainer.num_nodes=2": "trainer.num_nodes",
        "trainer.max_steps=-1 trainer.max_epochs=-1": "trainer.max_steps",
        "trainer.max_steps=-1": "trainer.max_steps",
        "model=vqvae model.network.channels=[8]": "model.grid",
        "model=vqvae model.network.channels=[8,8,8]": "model.network.channels",
        "model=vqvae model.grid=[8,8]": "model.grid",
        "model=vqvae model.image_shape=[1,30,30]": "model.",
        "model=vae_conv model.network.channels=[4,4,4]": "model.network.channels",
        "model=ae model.image_shape=[1,32,32]": "model: cannot take images of mnist",
        "model=vae model.image_shape=[3,28,28]": "model: cannot take images of mnist",
        "model=ae data=stacked_mnist model.image_shape=[1,28,28]": "model: cannot take images of stacked_mnist",
        "data.image_shape=[3,28,28]": "data.image_shape",
        "data.num_classes=1000": "data.num_classes",
        "data=stacked_mnist data.leave_out=3": "data.leave_out",
        "data=stacked_mnist data.name=mnist": "data.name",
        "data=stacked_mnist data.train_stacks=100": "data.batch_size",
        "model=vqvae prior.transformer.conditional=true prior.transformer.num_classes=9": "prior.transformer.",
        "model=vae model.latent_dim=2000000000": "model",
        "model=vqvae model.num_codes=2000000000000": "model",
        "model=ae model.network.hidden=[2000000000]": "model",
        "data=mnist data.val_size=60000": "data.val_size",
        "data=mnist5k data.val_size=15": "data.val_size",
        "data=stacked_mnist5k data.val_size=4500": "data.val_size",
        "data=mnist data.batch_size=55001": "data.batch_size",
        "data=mnist5k data.batch_size=4001": "data.batch_size",
        "data=kmnist data.fallback=embedded": "data.fallback",
        "data=fashion_mnist data.fallback=embedded": "data.fallback",
        "data.name=../../x": "data.name",
        "prior=mixture prior.mixture.num_components=30000": "prior.mixture.max_fit",
        "prior=mixture data=mnist5k prior.mixture.num_components=4001": "prior.mixture",
        "model=vqvae prior=pixelcnn prior.pixelcnn.kernel=4": "prior.pixelcnn.kernel",
        "model.likelihood=laplace": "model.likelihood",
        "model.network=conv": "model.network",
        "model.optimizer=adam": "model.optimizer",
        "model.optimizer=null": "model.optimizer",
        "model=vqvae model.restart=5": "model.restart",
        "model._target_=aevq.models.VEA": "model._target_",
        "model._target_=builtins.dict": "model._target_",
        "model._target_=null": "model._target_",
        "data._target_=aevq.models.VAE": "data",
        "model.likelihood._target_=aevq.nn.MLP": "model.likelihood",
        "model.network._target_=aevq.nn.Gaussian": "model.network",
        "callbacks.throughput._target_=aevq.nn.MLP": "callbacks.throughput",
        "trainer._target_=builtins.print": "trainer._target_",
        "trainer.max_steps=0": "trainer.max_steps",
        "trainer.max_steps=-1 trainer.max_epochs=0": "trainer.max_epochs",
        "trainer.limit_train_batches=0": "trainer.limit_train_batches",
        "trainer.val_check_interval=0": "trainer.val_check_interval",
        f"{LIGHTNING}.RichProgressBar trainer.enable_progress_bar=false": "trainer",
        f"{LIGHTNING}.StochasticWeightAveraging +callbacks.x.swa_lrs=0.1": "callbacks.x",
        f"{LIGHTNING}.GradientAccumulationScheduler +callbacks.x.scheduling={{4:2}}": "callbacks.x",
        "model.optimizer={_target_:torch.optim.LBFGS,_partial_:true}": "model.optimizer",
        "~model/optimizer +model.optimizer={_target_:torch.optim.LBFGS,_partial_:true}": "model.optimizer",
        f"~model/schedule {SCHEDULE}.ReduceLROnPlateau,_partial_:true}}": "model.schedule",
        f"~model/schedule {SCHEDULE}.OneCycleLR,_partial_:true}}": "model.schedule",
        f"~model/schedule {SCHEDULE}.StepLR,_partial_:true}}": "model.schedule",
        "prior.standard_normal=null": "prior.standard_normal",
        "callbacks.throughput=null": "callbacks.throughput",
        "paths.runs=null": "paths.runs",
        "paths=null": "paths",
        "+paths.data=x": "paths.data",
        "+sed=3": "sed",
        "+modell.beta=3": "modell",
        "~seed": "seed",
        "model.beta=${nowhere}": "model.beta",
        "model.beta=${oc.env:AEVQ_NO_SUCH_VARIABLE}": "model.beta",
        "model.beta=${nowhere:1}": "model.beta",
        "model.beta=${model.beta}": "model.beta",
        "model.beta=[1,2": "model.beta",
        "model.beta=": "model.beta",
        "model": "model",
        "model=vae,ae": "model",
        "seed=1,2": "seed",
        "data=_base": "data",
        "resume=nowhere": "resume",
        "resume=": "resume",
        "logger=wandb logger.wandb.mode=ofline": "logger.wandb.mode",
        "evaluation.samples=9": "evaluation.samples",
        "-m seed=1,2 hydra.launcher.n_jobs=0": "hydra.launcher.n_jobs",
        "-m seed=1,2 hydra.launcher.threads=many": "hydra.launcher.threads",
        "-m seed=1,2 modle=vae": "modle",
        "-m resume_sweep=nowhere": "sweep",
        "-m resume_sweep=latest model=vae": "model",
        "-m resume_sweep=latest trust=[x": "trust",
        "-m resume_sweep=latest --config-dir": "--config-dir",
        "-m seed=range(0)": "-m",
        "-m model=glob(nothing*)": "-m",
        "-m model=vae,vea": "model=vea",
        "-m model=ae,vqvae model.num_codes=16": "model.num_codes: not every job of model=ae,vqvae",
        "model=ae -m seed=1,2 modle=vae": "modle",
        "seed=1 --run --multirun": "--multirun",
        "seed=1 -cn nosuch": "--config-name",
        "seed=1 -cd nosuch": "nosuch",
        "seed=1 --nosuch": "--nosuch",
        "--cfg nosuch": "--cfg",
        "hydra.run.dir=x": "hydra.run.dir",
        "-m seed=1,2 hydra.sweep.subdir=x": "hydra.sweep.subdir",
        "-m seed=1,2 hydra.sweep.dir=.": "hydra.sweep.dir",
        r"notes='a\${5}'": "notes",
        "+note=5": "+my.<name>",
        f"+prior.{'a' * 201}._target_=aevq.priors.Uniform": "prior",
        "objective=reconstruction/msee": "reconstruction/mse",
        "objective=val/mse": "objective",
        "objective=train/seconds": "objective",
    }
    for line, key in table.items():
        yield Case(tuple(line.split()), key)


@cache
def cases() -> list[Case]:
    """Return all cases, each command line once, in an order that is always the same."""
    every = [*wrong_together(), *wrong_choices(), *wrong_names(), *wrong_values()]
    tails = {(case.arguments[-1], "pixelcnn" in str(case)): case for case in reversed(every)}
    chosen = set(map(id, tails.values()))
    return [case for case in every if id(case) in chosen]
