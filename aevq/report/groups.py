"""Runs that differ in nothing but the seed form one group; runs that were measured differently are not compared.

Groups get the shortest names that tell them apart: `AE`, `VAE beta=4`, `VQVAE num_codes=512`. The model is enough for
groups of different models; groups of one model need as few as possible of the keys that differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from aevq.errors import UserError
from aevq.report.records import Record, sampled_priors
from aevq.report.statistics import Estimate, estimate

# Keys of a configuration that do not change a model: folders, logging, and what is measured or drawn afterwards.
IGNORED_KEYS = {
    *("seed", "paths", "tags", "notes", "my", "resume", "trust", "show_traceback", "objective", "logger"),
    *("plots", "evaluation", "data.name", "data.root", "data.download", "data.timeout", "data.fallback"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary"),
}
MEASURED = {
    "data": "data set",
    "fingerprint": "data (SHA-256)",
    "binarize": "data.binarize",
    "split": "the split that was measured",
    "metrics_version": "metrics_version",
    "samples": "samples per prior",
    "mode_samples": "samples for modes",
    "importance_samples": "importance samples of the NLL",
    "prior_importance_samples": "importance samples of the NLL by fitted priors",
    "likelihood_images": "images for the NLL",
}
Flat = dict[str, Any]
ABSENT = "–"


@dataclass(frozen=True)
class Group:
    """Runs of different seeds."""

    label: str  # short, different from that of every other group
    runs: tuple[Record, ...]  # one for each seed, ordered by seed
    repeats: tuple[Record, ...]  # earlier runs of these seeds; averaging them would make the spread too small
    settings: Flat  # keys and values of the configuration that differ from those of other groups

    @property
    def model(self) -> str:
        """Name of the model's class."""
        return str(self.runs[0].result.model["name"])

    @cached_property
    def metrics(self) -> dict[str, Estimate]:
        """Each metric that at least one run has, over the seeds."""
        values: dict[str, list[float]] = {}
        for run in self.runs:
            for name, value in run.metrics.items():
                values.setdefault(name, []).append(value)
        return {name: found for name, column in values.items() if (found := estimate(column))}

    @cached_property
    def priors(self) -> list[str]:
        """Names of the priors whose samples were measured, without options, the best by Fréchet distance first."""
        distances = {name: self.metrics.get(f"samples/{name}/fd") for name in sampled_priors(self.metrics)}
        return sorted(distances, key=lambda name: found.mean if (found := distances[name]) else float("inf"))

    @cached_property
    def rate(self) -> str | None:
        """Name of the lowest rate; None if the model has no rate, like an AE."""
        names = [name for name in self.metrics if name.startswith("rate/") and name.endswith("_bits")]
        return min(names, key=lambda name: self.metrics[name].mean, default=None)


def group_runs(runs: Sequence[Record]) -> list[Group]:
    """Return the groups, in the order of their first runs; of several runs with one seed the latest counts."""
    conflicts = [name for name in _measured(runs) if name != "data" and _conflict(runs, name)]
    members: dict[str, list[Record]] = {}
    configs: dict[str, Flat] = {}
    for run in runs:
        # What defines a run apart from its seed, with the differences in how it was measured.
        flat = {"prior": list(run.config.get("prior") or {}), "data": run.measurement.data}
        flat |= dict(_flat(run.config)) | {f"measured.{name}": _value(run, name) for name in conflicts}
        configs[key := repr(sorted(flat.items()))] = flat
        members.setdefault(key, []).append(run)
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    differing = [key for key in keys if len({repr(config.get(key, ...)) for config in configs.values()}) > 1]
    settings = [{key: config[key] for key in differing if key in config} for config in configs.values()]
    models = [str(group[0].result.model["name"]) for group in members.values()]
    groups = []
    for label, group, setting in zip(labels(models, settings), members.values(), settings, strict=True):
        latest = {run.result.seed: run for run in sorted(group, key=lambda run: run.result.started)}
        chosen = tuple(latest[seed] for seed in sorted(latest))
        groups.append(Group(label, chosen, tuple(run for run in group if run not in chosen), setting))
    return groups


def _flat(node: Flat, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys `a.b.c` of a configuration that define a model, and their values."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if name in IGNORED_KEYS or name.endswith(".seed"):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def setting(config: Flat) -> str:
    """Return eight hex digits that are equal for configurations which differ in nothing but the seed."""
    return sha256(repr(sorted(_flat(config))).encode()).hexdigest()[:8]


def check_comparable(runs: Sequence[Record], allow_mixed: bool) -> list[str]:
    """Return the reasons why the metrics of these runs are not comparable, a sentence for each.

    Raises:
        UserError: If there is a reason and `allow_mixed` is false; it names the runs.
    """
    reasons = [reason for name in _measured(runs) if (reason := _conflict(runs, name))]
    if reasons and not allow_mixed:
        raise UserError(f"compare: {'; '.join(reasons)}. --allow-mixed compares them anyway")
    return reasons


def _measured(runs: Sequence[Record]) -> list[str]:
    """Return what has to agree: how the runs were measured, and the priors that only an evaluation fitted, by name."""
    return [*MEASURED, *dict.fromkeys(f"prior.{name}" for run in runs for name in run.evaluated_priors)]


def _value(run: Record, name: str) -> Any:
    if name in MEASURED:
        return getattr(run.measurement, name)
    config = run.evaluated_priors.get(name.removeprefix("prior."))
    return None if config is None else " ".join(f"{key}={value_text(value)}" for key, value in sorted(_flat(config)))


def _conflict(runs: Sequence[Record], name: str) -> str | None:
    by_value: dict[Any, list[str]] = {}
    for run in runs:
        value = _value(run, name)
        if value is not None or name == "metrics_version":  # a run without samples is in no table of samples
            by_value.setdefault(value, []).append(run.path.name)
    if len(by_value) < 2:
        return None
    parts = []
    for value, names in by_value.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        text = "unknown" if value is None else str(value)
        parts.append(f"{text[:12] + '…' if len(text) > 40 else text} ({', '.join(names[:3])}{more})")
    return f"the runs differ in {MEASURED.get(name, f'the options of {name}')}: {', '.join(parts)}"


def labels(models: Sequence[str], configs: Sequence[Flat]) -> list[str]:
    """Return a different name for each group.

    Args:
        models: Class name of each group's model.
        configs: Of each group the keys and values that differ from those of the others.
    """
    named = [""] * len(models)
    for model in dict.fromkeys(models):
        rows = [i for i, name in enumerate(models) if name == model]
        own = [configs[i] for i in rows]
        keys = _telling_keys(own)
        short = _short_keys(keys)
        texts = {key: _short_values(key, [config.get(key, ABSENT) for config in own]) for key in keys}
        for place, row in enumerate(rows):
            shown = [f"{short[key]}={texts[key][place]}" for key in keys if key in configs[row]]
            named[row] = " ".join([model, *shown])
    return [  # values that are printed alike get a number
        name if named.count(name) == 1 else f"{name} ({named[: i + 1].count(name)})" for i, name in enumerate(named)
    ]


def _telling_keys(configs: Sequence[Flat]) -> list[str]:
    """Choose few keys that tell the groups apart: at each step the key that separates most of them."""

    def separated(keys: Sequence[str]) -> int:
        return len({tuple(repr(config.get(key, ABSENT)) for key in keys) for config in configs})

    keys = list(dict.fromkeys(key for config in configs for key in config))
    chosen: list[str] = []
    while keys and separated(chosen) < len(configs):
        best = max(keys, key=lambda key: (separated([*chosen, key]), key.endswith("_target_"), -len(key)))
        if separated([*chosen, best]) == separated(chosen):
            break
        chosen.append(best)
    return [key for key in keys if key in chosen]


def _short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Return the shortest end of each key that is unique; `a.b._target_` is called `a.b`."""
    parts = {key: key.removesuffix("._target_").split(".") for key in keys}
    short = {}
    for key, own in parts.items():
        n = 1
        while n < len(own) and sum(own[-n:] == other[-n:] for other in parts.values()) > 1:
            n += 1
        short[key] = ".".join(own[-n:])
    return short


def _short_values(key: str, values: Sequence[Any]) -> list[str]:
    """Return values as a user types them; classes without their module, unless that makes two of them equal."""
    full = [value_text(value) for value in values]
    short = [text.rpartition(".")[2] for text in full]
    return short if key.endswith("_target_") and len(set(short)) == len(set(full)) else full


def value_text(value: Any) -> str:
    """Return a value as a user types it."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(value_text, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
