"""`python -m aevq.evaluate run=latest`: the whole protocol on a finished run, every prior of its kind included."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from aevq.cli import config_root, options_command
from aevq.errors import UserError, did_you_mean
from aevq.evaluation import Evaluation, EvaluationSettings, Evaluator
from aevq.files import atomic_write
from aevq.fitting import Trainers, fit_priors
from aevq.generate import encode_splits, generate
from aevq.latents import CodeSpec
from aevq.pictures.grids import save_grid
from aevq.priors import Prior, build_prior
from aevq.results import SCHEMA_VERSION
from aevq.runs import Run, load

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
        samples: Samples a prior.
        importance_samples: S of the importance-weighted bound of a VAE on binary images.
        likelihood_images: Images that the bound is computed on.
        probes: Whether to train classifiers on the latents.
        seed: Of samples and noise.
        runs: Where runs are kept.
        trust: Packages of your own, say [mypackage.], whose classes the run may name.
    """

    run: str = "latest"
    priors: list[str] | None = None
    split: str = "test"
    samples: int = 10_000
    importance_samples: int = 5000
    likelihood_images: int = 10_000
    probes: bool = True
    seed: int = 0
    runs: str = "runs"
    trust: list[str] = field(default_factory=list)


def evaluate(options: Options) -> dict[str, float]:
    """Measure, write `evaluation.json` and the pictures of new priors into the run folder, print a table.

    Raises:
        UserError: If there is no such run, it is not finished, or an option is bad.
    """
    settings = EvaluationSettings(
        split=options.split,
        samples=options.samples,
        importance_samples=options.importance_samples,
        likelihood_images=options.likelihood_images,
        train_images=10**9,
        probes=options.probes,
        seed=options.seed,
    )
    run = load(options.run, options.runs, options.trust)
    if run.result.status != "finished":
        raise UserError(f"run: {run.path.name} is {run.result.status}, not finished; resume={run.path.name} goes on")
    evaluator = _evaluator(run, options, settings)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(evaluator.parts()), completed=-1)
        evaluation = evaluator.run(lambda name: progress.update(task, description=name, advance=1))
    _write(run, options, evaluation)
    _print(run, evaluation)
    return evaluation.metrics


def _evaluator(run: Run, options: Options, settings: EvaluationSettings) -> Evaluator:
    data = run.data
    latents = encode_splits(run.model, data)
    priors = _priors(run, options, latents)
    title = f"{run.result.model['name']} on {data.name}"
    for name, prior in priors.items():
        path = run.images / f"samples_{name}.png"
        if not path.exists():
            save_grid(generate(run.model, prior, 64, options.seed), 8, f"{title}: samples, {name}", path)
    return Evaluator(run.model, priors, data, latents, settings)


def _priors(run: Run, options: Options, latents: Any) -> dict[str, Prior]:
    """The priors asked for: those of the run as they are, the others fitted now."""
    spec = run.model.latent_spec
    known = FOR_CODES if isinstance(spec, CodeSpec) else FOR_VECTORS
    names = options.priors if options.priors is not None else sorted({*known, *run.prior_names()}, key=str)
    unknown = [name for name in names if name not in (*known, *run.prior_names())]
    if unknown:
        raise UserError(f"priors: {unknown[0]!r} is none for {spec}; {did_you_mean(unknown[0], known)}")
    plain = OmegaConf.to_container(run.config, resolve=True)
    configs: dict[str, Any] = {name: plain["prior"].get(name) or _default(name, run) for name in names}  # type: ignore[index,call-overload,union-attr]
    trainers = Trainers(plain["trainer"], plain)  # type: ignore[index,call-overload,arg-type]
    unfitted = {name: build_prior(config, spec, run.trust) for name, config in configs.items()}
    return fit_priors(unfitted, configs, latents, run, trainers, active=True, trust=run.trust)


def _default(name: str, run: Run) -> dict[str, Any]:
    """The configuration of a prior that the run was made without."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        composed = compose("train", [f"prior={name}", f"seed={run.result.seed}"])
    return OmegaConf.to_container(composed.prior, resolve=True)[name]  # type: ignore[return-value,index,call-overload]


def _write(run: Run, options: Options, evaluation: Evaluation) -> None:
    content = {
        "schema_version": SCHEMA_VERSION,
        "run": run.path.name,
        "data": run.result.data,
        "options": {name: getattr(options, name) for name in Options.__dataclass_fields__ if name != "runs"},
        "metrics": evaluation.metrics,
        "seconds": evaluation.seconds,
    }
    atomic_write(run.path / "evaluation.json", json.dumps(content, indent=2) + "\n")


def _print(run: Run, evaluation: Evaluation) -> None:
    console = Console(highlight=False)
    figures = Table(box=box.SIMPLE_HEAD)
    figures.add_column("figure")
    figures.add_column("value", justify="right")
    for name, value in evaluation.metrics.items():
        if not name.startswith("samples/"):
            figures.add_row(name, f"{value:.4g}")
    console.print(f"\n[bold]{run.path.name}", soft_wrap=True)
    console.print(figures)
    names = list(dict.fromkeys(n.split("/")[1] for n in evaluation.metrics if n.startswith("samples/")))
    samples = Table(box=box.SIMPLE_HEAD)
    samples.add_column("samples")
    for name in names:
        samples.add_column(name, justify="right")
    for figure in dict.fromkeys(n.split("/")[2] for n in evaluation.metrics if n.startswith("samples/")):
        samples.add_row(figure, *(f"{evaluation.metrics[f'samples/{name}/{figure}']:.3g}" for name in names))
    console.print(samples)
    total = sum(evaluation.seconds.values())
    console.print(f"{total:.0f} s: " + ", ".join(f"{k} {v:.0f}" for k, v in evaluation.seconds.items()))
    console.print(f"figures   {Path(run.path / 'evaluation.json')}", soft_wrap=True)


def main() -> None:
    """Entry point of the command line."""
    options_command(evaluate, Options())


if __name__ == "__main__":
    main()
