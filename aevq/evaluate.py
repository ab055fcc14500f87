"""`python -m aevq.evaluate run=latest`: the whole protocol on a finished run, every prior of its kind included."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from rich.console import Console

from aevq.config.command_line import config_root, options_command
from aevq.errors import UserError, did_you_mean
from aevq.latents import CodeSpec, LatentSet
from aevq.metrics.generate import encode_splits, generate
from aevq.metrics.protocol import Evaluation, EvaluationSettings, Evaluator, metrics_version
from aevq.priors import Prior, build_prior
from aevq.report.console import figures_table, short_path
from aevq.report.plots.run import draw_samples
from aevq.runs.folder import write_json
from aevq.runs.provenance import git_state, versions
from aevq.runs.result import SCHEMA_VERSION
from aevq.runs.run import Run, load
from aevq.training.allocator import keep_freed_memory
from aevq.training.fitting import Trainers, fit_priors

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Options", "evaluate", "main"]

FOR_VECTORS = ("standard_normal", "fitted_normal", "mixture", "mixture100")
FOR_CODES = ("uniform", "marginals", "pixelcnn")


@dataclass
class Options:
    """Measure a finished run by the whole protocol.

    python -m aevq.evaluate run=latest priors=[standard_normal,mixture] importance_samples=5000

    Attributes:
        run: latest, or a run's name or path.
        priors: Which; by default every prior for such latents. What is not fitted yet is fitted and kept.
        split: test, or val while something is still being chosen.
        samples: Samples a prior; 0 leaves them out.
        importance_samples: S of the importance-weighted bound of a VAE on binary images; 0 leaves it out.
        likelihood_images: Images that the bound is computed on.
        memorisation: Whether to look for each sample's nearest train image.
        probes: Whether to train classifiers on the latents.
        quick: Only what a run measures at its end: its own priors, no bound, no nearest images, no classifiers.
        seed: Of samples and noise.
        mode_samples: Of stacked digits, samples that the modes are counted on; 0 counts none.
        runs: Where runs are kept.
        trust: Packages of your own, say [mypackage.], whose classes the run may name.
    """

    run: str = "latest"
    priors: list[str] | None = None
    split: str = "test"
    samples: int = 10_000
    importance_samples: int = 5000
    likelihood_images: int = 10_000
    memorisation: bool = True
    probes: bool = True
    quick: bool = False
    seed: int = 0
    mode_samples: int = 26_000
    runs: str = "runs"
    trust: list[str] = field(default_factory=list)


def evaluate(options: Options) -> dict[str, float]:
    """Measure, write `evaluation.json` and the pictures of new priors into the run folder, print a table.

    What was measured before of the same weights, with the same split, samples and seed, is kept beside the new figures:
    the priors can be evaluated one by one.

    Raises:
        UserError: If there is no such run, it is not finished, or an option is bad.
    """
    settings = EvaluationSettings(
        split=cast("Any", options.split),
        samples=options.samples,
        importance_samples=0 if options.quick else options.importance_samples,
        likelihood_images=options.likelihood_images,
        memorisation=options.memorisation and not options.quick,
        probes=options.probes and not options.quick,
        seed=options.seed,
        mode_samples=options.mode_samples,
    )
    run = load(options.run, options.runs, options.trust)
    if run.result.status != "finished":
        raise UserError(f"run: {run.path.name} is {run.result.status}, not finished; resume={run.path.name} goes on")
    with run.claimed():
        evaluation = _evaluator(run, options, settings).run()
        path = _write(run, settings, evaluation)
    _print(run, settings, evaluation, path)
    return evaluation.metrics


def _evaluator(run: Run, options: Options, settings: EvaluationSettings) -> Evaluator:
    names = _prior_names(run, options)
    latents = encode_splits(run.model, run.data)
    priors = _fitted(run, names, latents)
    title = f"{run.result.model['name']} on {run.data.name}"
    for name, prior in priors.items():
        if not (run.images / f"samples_{name}.png").exists():
            draw_samples(generate(run.model, prior, 64, options.seed), name, title, run.images)
    return Evaluator(run.model, priors, run.data, latents, settings)


def _prior_names(run: Run, options: Options) -> list[str]:
    """The priors asked for; by default every one of the kind, the run's own included."""
    spec, own = run.model.latent_spec, run.prior_names()
    known = list(dict.fromkeys([*(FOR_CODES if isinstance(spec, CodeSpec) else FOR_VECTORS), *own]))
    names = options.priors if options.priors is not None else [n for n in known if n in own or not options.quick]
    for name in names:
        if name not in known:
            raise UserError(f"priors: {name!r} is none for {spec}; {did_you_mean(name, known)}")
    return names


def _fitted(run: Run, names: list[str], latents: LatentSet) -> dict[str, Prior]:
    """Those of the run as they are, the others fitted now and kept."""
    plain: Any = OmegaConf.to_container(run.config, resolve=True)
    configs = {name: plain["prior"].get(name) or _default(name, run) for name in names}
    unfitted = {name: build_prior(config, run.model.latent_spec, run.trust) for name, config in configs.items()}
    alone = plain["trainer"] | {"devices": 1, "num_nodes": 1, "strategy": "auto"}  # however many trained the model
    return fit_priors(unfitted, configs, latents, run, Trainers(alone, plain), active=True, trust=run.trust)


def _default(name: str, run: Run) -> dict[str, Any]:
    """The configuration of a prior that the run was made without."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        composed = compose("train", [f"prior={name}", f"seed={run.result.seed}"])
    prior: Any = OmegaConf.to_container(composed.prior, resolve=True)
    return dict(prior[name])


def _write(run: Run, settings: EvaluationSettings, evaluation: Evaluation) -> Path:
    path = run.path / ("evaluation.json" if settings.split == "test" else f"evaluation_{settings.split}.json")
    content = {
        "schema_version": SCHEMA_VERSION,
        "metrics_version": metrics_version(),
        "run": run.path.name,
        "weights": run.weights_sha256,
        "data": run.result.data | {"evaluated": run.data.evaluated_sha256[settings.split]},
        "settings": asdict(settings),
        "versions": versions(),
        "git": git_state(),
    }
    before = _comparable(path, content)
    content["metrics"] = before.get("metrics", {}) | evaluation.metrics
    content["seconds"] = before.get("seconds", {}) | evaluation.seconds
    write_json(path, content)
    return path


def _comparable(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """What an earlier evaluation of the same weights and by the same protocol has left, if any."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        same = all(before[key] == content[key] for key in ("schema_version", "metrics_version", "weights"))
        old, new = before["settings"], content["settings"]
        same &= all(old[key] == new[key] for key in ("split", "samples", "seed"))
        same &= old.get("mode_samples", new["mode_samples"]) == new["mode_samples"]  # older ones counted no modes
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return before if same else {}


def _print(run: Run, settings: EvaluationSettings, evaluation: Evaluation, path: Path) -> None:
    console = Console(highlight=False)
    console.print(f"\n[bold]{run.path.name}", soft_wrap=True)
    images = run.result.data["sizes"][settings.split]
    console.print(figures_table(evaluation.metrics, f"on {images:,} {settings.split} images"))
    total = sum(evaluation.seconds.values())
    costs = ", ".join(f"{name} {seconds:.1f}" for name, seconds in evaluation.seconds.items())
    console.print(f"seconds   {total:.0f}: {costs}", soft_wrap=True)
    console.print(f"pictures  {short_path(run.images)}\nfigures   {short_path(path)}", soft_wrap=True)


def main() -> None:
    """Entry point of the command line."""
    keep_freed_memory()
    options_command(evaluate, Options())


if __name__ == "__main__":
    main()
