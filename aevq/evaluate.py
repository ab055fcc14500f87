"""`python -m aevq.evaluate run=latest`: the whole protocol on a finished run, with more priors than its own."""

import logging
from contextlib import suppress
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console

from aevq.config.checks import Name, settings, to_config
from aevq.config.command_line import options_command
from aevq.config.instantiate import EVERYTHING, instantiate
from aevq.config.terminal import quiet_libraries, terminal_logging
from aevq.errors import UserError, did_you_mean, optional
from aevq.metrics.generate import encode_splits, generate
from aevq.metrics.protocol import Evaluation, EvaluationSettings, metrics_version, run_protocol
from aevq.metrics.subject import Measure, Subject
from aevq.priors import Prior, TrainedPrior, fitted_config, is_fitted
from aevq.priors.available import priors_for
from aevq.report.console import metrics_table, short_path
from aevq.report.plots import draw_samples
from aevq.report.records import EvaluationFile, joined, read_evaluation
from aevq.runs.folder import write_json
from aevq.runs.result import SCHEMA_VERSION, device_name, git_state, prior_costs, prior_summary, versions
from aevq.runs.run import Run, load
from aevq.training.allocator import keep_freed_memory
from aevq.training.fit import fit_priors, on_best_device
from aevq.training.loggers import RunLogger
from aevq.training.parts import check_prior, to_plain
from aevq.training.trainer import Trainers

log = logging.getLogger("aevq")

QUICK = {
    "importance_samples": 0,
    "prior_importance_samples": 0,
    "memorisation": False,
    "probes": False,
    "label_accuracy": False,
}
COMPARABLE = ("split", "samples", "mode_samples", "seed")


@settings
class Options(EvaluationSettings):
    """Measure a finished run by the whole protocol.

    python -m aevq.evaluate run=latest priors=[standard_normal,mixture] importance_samples=5000
    python -m aevq.evaluate run=latest prior.wide._target_=aevq.priors.Mixture prior.wide.num_components=200

    Attributes:
        run: latest, or a run's name or path.
        priors: Names of priors. By default those of the run, and all others for this kind of latents that are fitted
            without training. A prior that is not fitted yet is fitted and kept.
        prior: Options of priors that are not fitted yet, and priors of your own, which are measured with `priors`.
        quick: Only what a run measures at its end: its own priors, no bound, no nearest images, no classifiers.
        runs: Folder of the runs.
        trust: Your own packages, for example [mypackage.], whose classes the run may name.
        searchpath: Folders, or packages as pkg://mypackage.conf, in whose folder `prior` further priors are.
        extra: Your own metrics beside those of the run: `extra.<name>._target_=mypackage.mymodule.MyMeasure`.
    """

    run: str = "latest"
    priors: list[str] | None = None
    prior: dict[Name, dict[str, Any]] = field(default_factory=dict)
    quick: bool = False
    runs: str = "runs"
    trust: list[str] = field(default_factory=list)
    searchpath: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


_INHERITED = (EvaluationSettings.__doc__ or "").split("Attributes:")[-1].split("        extra:")[0]
Options.__doc__ = f"{(Options.__doc__ or '').rstrip()}{_INHERITED}"  # the help lists all options


def evaluate(options: Options) -> dict[str, float]:
    """Measure, write `evaluation.json` and the samples of new priors into the run folder, and print a table.

    Metrics of an earlier evaluation of the same weights with the same split, samples and seed are kept beside the new
    ones: priors can be evaluated one by one.

    Raises:
        UserError: If there is no such run, it is not finished, or an option is bad.
    """
    run = load(options.run, options.runs, options.trust)
    if run.result.status != "finished":
        raise UserError(f"run: {run.path.name} is {run.result.status}, not finished; resume={run.path.name} resumes it")
    chosen = _settings(options, run)
    with run.claimed():
        priors = _priors(run, options)
        # On whatever this machine has, whichever and however many devices trained the model.
        alone = {"accelerator": "auto", "devices": 1, "num_nodes": 1, "strategy": "auto"}
        trainers = Trainers({**run.config.trainer} | alone)
        with on_best_device(run.model, priors, trainers):
            evaluation = run_protocol(_subject(run, priors, trainers, chosen))
            device = device_name(run.model.device)
        path = _write(run, chosen, evaluation, priors, device)
        for name, node in run.config.logger.items():
            with optional(f"logger.{name}"):
                logger = instantiate(node, f"logger.{name}", RunLogger, trust=run.trust)
                labels = (run.result.model["name"].lower(), run.data.name)
                logger.amend(run.path, to_plain(run.config), labels, evaluation.metrics)
    _print(run, chosen, evaluation, priors, path)
    return evaluation.metrics


def _settings(options: Options, run: Run) -> EvaluationSettings:
    """Return the settings of the protocol, with the metrics from outside the package built."""
    extra: dict[str, Any] = {}
    for name, node in (OmegaConf.select(run.config, "evaluation.extra") or {}).items():
        try:
            extra[name] = instantiate(node, f"evaluation.extra.{name}", Measure, trust=run.trust)
        except UserError as error:
            log.warning("%s; not measured", error)
    for name, node in options.extra.items():
        given = isinstance(node, Measure)
        extra[name] = node if given else instantiate(node, f"extra.{name}", Measure, trust=EVERYTHING)
    values = {name: getattr(options, name) for name in EvaluationSettings.__annotations__}
    return EvaluationSettings(**values | (QUICK if options.quick else {}) | {"extra": extra})


def _priors(run: Run, options: Options) -> dict[str, Prior]:
    """Return the priors to measure, built and checked but not fitted."""
    known, own = _known_priors(run, options), list(run.config.prior)
    for name, given in options.prior.items():
        if name not in known and "_target_" not in given:
            problem = "there is no prior of this name for such latents, and no _target_ is given"
            raise UserError(f"prior.{name}: {problem}; {did_you_mean(name, known)}")
        known[name] = OmegaConf.to_container(OmegaConf.merge(known.get(name, {}), given))
    listed = options.priors if options.priors is not None else [n for n in known if n in own or not options.quick]
    priors, weights = {}, run.weights_sha256
    for name in dict.fromkeys([*listed, *options.prior]):
        if name not in known:
            raise UserError(f"priors: {name!r} is not a prior for such latents; {did_you_mean(name, known)}")
        spec = run.model.latent_spec
        prior = instantiate(known[name], f"prior.{name}", Prior, trust=run.trust, spec=spec)
        asked = options.priors is not None or name in options.prior
        if isinstance(prior, TrainedPrior) and not asked and not is_fitted(run.prior_file(name), prior, weights):
            continue  # a training is not started unasked
        check_prior(name, prior, run.data)
        if name in options.prior:
            _check_unchanged(name, prior, options.prior[name], run)
        priors[name] = prior
    return priors


def _known_priors(run: Run, options: Options) -> dict[str, Any]:
    """Return the configuration of every prior for the run's latents; of those that it has, as they were fitted."""
    weights = run.weights_sha256
    fitted = {name: fitted_config(run.prior_file(name), weights) for name in run.prior_names()}
    own: Any = OmegaConf.to_container(run.config.prior)
    kept = {name: config for name, config in fitted.items() if config is not None}
    return priors_for(run.model.latent_spec, options.searchpath, run.config) | kept | own


def _check_unchanged(name: str, prior: Prior, given: dict[str, Any], run: Run) -> None:
    """Raise a `UserError` if the run has a prior of this name that is fitted with other options."""
    path, weights = run.prior_file(name), run.weights_sha256
    has_it = name in run.config.prior or fitted_config(path, weights) is not None
    if has_it and not is_fitted(path, prior, weights):
        target = to_config(prior)["_target_"]
        typed = [f"prior.{name}2.{key}={value}" for key, value in given.items() if key != "_target_"]
        hint = " ".join([f"prior.{name}2._target_={target}", *typed])
        raise UserError(f"prior.{name}: the run has this prior, fitted with other options; use another name: {hint}")


def _subject(run: Run, priors: dict[str, Prior], trainers: Trainers, chosen: EvaluationSettings) -> Subject:
    """Return the run with its priors; those that it lacks are fitted now and kept."""
    latents = encode_splits(run.model, run.data)
    fit_priors(priors, latents, run, trainers, run.trust, int(run.result.train["steps"]))
    title = f"{run.result.model['name']} on {run.data.name}"
    for name, prior in priors.items():
        if not (run.images / f"samples_{name}.png").exists():
            with optional(f"samples_{name}.png"):
                draw_samples(generate(run.model, prior, 64, chosen.seed), name, title, run.images)
    return Subject(run.model, priors, run.data, latents, chosen)


def _write(run: Run, chosen: EvaluationSettings, evaluation: Evaluation, priors: dict[str, Prior], device: str) -> Path:
    path = run.path / ("evaluation.json" if chosen.split == "test" else f"evaluation_{chosen.split}.json")
    stored = to_config(chosen)
    del stored["_target_"]
    content = {
        "schema_version": SCHEMA_VERSION,
        "metrics_version": metrics_version(),
        "run": run.path.name,
        "weights": run.weights_sha256,
        "data": run.result.data | {"evaluated": run.data.evaluated_sha256[chosen.split]},
        "settings": stored,
        "versions": versions(),
        "git": git_state(),
        "device": device,
        "priors": {name: prior_summary(prior) | {"config": _config(prior)} for name, prior in priors.items()},
        "metrics": evaluation.metrics,
        "costs": evaluation.costs,
        "seconds": evaluation.seconds,
        "extra_metrics": [asdict(metric) for metric in chosen.extra_metrics],
    }
    if before := _comparable(path, content):
        content["metrics"] = joined(before.metrics, evaluation.metrics)
        content["costs"] = before.costs | evaluation.costs
        content["seconds"] = before.seconds | evaluation.seconds
        content["priors"] = before.priors | content["priors"]
        content["extra_metrics"] = [asdict(m) for m in dict.fromkeys([*chosen.extra_metrics, *before.extra_metrics])]
    write_json(path, content)
    return path


def _config(prior: Prior) -> dict[str, Any]:
    return {key: value for key, value in to_config(prior).items() if key != "spec"}


def _comparable(path: Path, content: dict[str, Any]) -> EvaluationFile | None:
    """Return an earlier evaluation of the same weights by the same protocol, if there is one."""
    with suppress(UserError):
        before = read_evaluation(path)
        if before is not None and all(before.settings.get(key) == content["settings"][key] for key in COMPARABLE):
            same = (before.metrics_version, before.weights) == (content["metrics_version"], content["weights"])
            return before if same else None
    return None


def _print(run: Run, chosen: EvaluationSettings, evaluation: Evaluation, priors: dict[str, Prior], path: Path) -> None:
    console = Console(highlight=False)
    console.print(f"\n[bold]{run.path.name}", soft_wrap=True)
    title = f"on {run.result.data['sizes'][chosen.split]:,} {chosen.split} images"
    costs = prior_costs({name: prior_summary(prior) for name, prior in priors.items()}) | evaluation.costs
    console.print(metrics_table(evaluation.metrics | costs, title, chosen.extra_metrics))
    total = sum(evaluation.seconds.values())
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in evaluation.seconds.items())
    console.print(f"seconds  {total:.0f}: {parts}", soft_wrap=True)
    console.print(f"images   {short_path(run.images)}\nmetrics  {short_path(path)}", soft_wrap=True)


def main() -> None:
    """Run the command line."""
    terminal_logging()
    quiet_libraries()
    keep_freed_memory()
    options_command(evaluate, Options())


if __name__ == "__main__":
    main()
