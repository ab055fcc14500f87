"""Runs that differ in nothing but the seed form one group; runs that were measured differently are not compared.

Groups get the shortest names that tell them apart: `AE`, `VAE beta=4`, `VQVAE num_codes=512`. The model is enough for
groups of different models; groups of one model need as few as possible of the keys that differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aevq.errors import UserError
from aevq.report.statistics import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aevq.report.records import Record

__all__ = ["IGNORED_KEYS", "Group", "check_comparable", "group_runs", "labels", "value_text"]

# Keys of a configuration that do not change a model: folders, logging, and what is measured or drawn afterwards.
IGNORED_KEYS = {
    *("seed", "paths", "tags", "notes", "resume", "trust", "show_traceback", "objective", "logger"),
    *("pictures", "evaluation", "data.root", "data.timeout", "data.fallback", "data.mirrors", "data.files"),
    *("data.name", "data.folder", "trainer.enable_progress_bar", "trainer.enable_model_summary"),
}
MEASURED = {
    "data": "data set",
    "fingerprint": "data (SHA-256)",
    "binarize": "data.binarize",
    "metrics_version": "metrics_version",
    "samples": "samples per prior",
    "mode_samples": "samples for modes",
}
Flat = dict[str, Any]
ABSENT = "–"


@dataclass(frozen=True)
class Group:
    """Runs of different seeds.

    Attributes:
        label: Short name, different from that of every other group.
        runs: One for each seed, ordered by seed.
        repeats: Earlier runs of the same seeds. They are not averaged, because they would make the spread too small.
        settings: Keys and values of the configuration that differ from those of other groups.
    """

    label: str
    runs: tuple[Record, ...]
    repeats: tuple[Record, ...]
    settings: Flat

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
        """Names of the priors whose samples were measured, the best by Fréchet distance first."""
        names = dict.fromkeys(name.split("/")[1] for name in self.metrics if name.startswith("samples/"))
        distances = {name: self.metrics.get(f"samples/{name}/fd") for name in names}
        return sorted(names, key=lambda name: found.mean if (found := distances[name]) else float("inf"))

    @cached_property
    def rate(self) -> str | None:
        """Name of the lowest rate; None if the model has no rate, like an AE."""
        names = [name for name in self.metrics if name.startswith("rate/") and name.endswith("_bits")]
        return min(names, key=lambda name: self.metrics[name].mean, default=None)


def group_runs(runs: Sequence[Record]) -> list[Group]:
    """Return the groups, in the order of their first runs."""
    conflicts = [name for name in MEASURED if _conflict(runs, name)]
    flat = [_flat(run, conflicts) for run in runs]
    members: dict[str, list[int]] = {}
    for i, config in enumerate(flat):
        members.setdefault(repr(sorted(config.items())), []).append(i)
    firsts = [flat[indices[0]] for indices in members.values()]
    settings = [{key: config[key] for key in _differences(firsts) if key in config} for config in firsts]
    models = [str(runs[indices[0]].result.model["name"]) for indices in members.values()]
    return [
        _group(label, [runs[i] for i in indices], differing)
        for label, indices, differing in zip(labels(models, settings), members.values(), settings, strict=True)
    ]


def _group(label: str, runs: Sequence[Record], settings: Flat) -> Group:
    """Return a group; of several runs with one seed it takes the latest."""
    by_seed = {run.result.seed: run for run in sorted(runs, key=lambda run: run.result.started)}
    chosen = tuple(by_seed[seed] for seed in sorted(by_seed))
    return Group(label, chosen, tuple(run for run in runs if run not in chosen), settings)


def _differences(configs: Sequence[Flat]) -> list[str]:
    """Return the keys that some of the configurations lack or that have different values in them."""
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if len({repr(config.get(key, ...)) for config in configs}) > 1]


def _flat(run: Record, conflicts: Sequence[str]) -> Flat:
    """Return what defines a run apart from its seed, `a.b.c` → value, with the differences in how it was measured."""
    flat: Flat = {"prior": list(run.config.get("prior") or {}), "data": run.measurement.data}
    _flatten(run.config, "", flat)
    return flat | {f"measured.{name}": getattr(run.measurement, name) for name in conflicts if name != "data"}


def _flatten(node: dict[str, Any], prefix: str, into: Flat) -> None:
    for key, value in node.items():
        name = f"{prefix}{key}"
        if name in IGNORED_KEYS or name.endswith(".seed"):
            continue
        if isinstance(value, dict):
            _flatten(value, f"{name}.", into)
        else:
            into[name] = value


def check_comparable(runs: Sequence[Record], allow_mixed: bool) -> list[str]:
    """Return the reasons why the metrics of these runs are not comparable, a sentence for each.

    Args:
        runs: Finished runs.
        allow_mixed: Whether to return the reasons instead of raising an error.

    Raises:
        UserError: If there is a reason and `allow_mixed` is false; it names the runs.
    """
    reasons = [reason for name in MEASURED if (reason := _conflict(runs, name))]
    if reasons and not allow_mixed:
        raise UserError(f"compare: {'; '.join(reasons)}. --allow-mixed compares them anyway")
    return reasons


def _conflict(runs: Sequence[Record], name: str) -> str | None:
    by_value: dict[Any, list[str]] = {}
    for run in runs:
        value = getattr(run.measurement, name)
        if value is not None or name == "metrics_version":  # a run without samples is in no table of samples
            by_value.setdefault(value, []).append(run.path.name)
    if len(by_value) < 2:
        return None
    parts = []
    for value, names in by_value.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        text = "unknown" if value is None else str(value)
        parts.append(f"{text[:12] + '…' if len(text) > 40 else text} ({', '.join(names[:3])}{more})")
    return f"the runs differ in {MEASURED[name]}: {', '.join(parts)}"


def labels(models: Sequence[str], configs: Sequence[Flat]) -> list[str]:
    """Return a different name for each group.

    Args:
        models: Class name of each group's model.
        configs: Of each group the keys and values that differ from those of the others.
    """
    named = [""] * len(models)
    for model in dict.fromkeys(models):
        rows = [i for i, name in enumerate(models) if name == model]
        for row, name in zip(rows, _labels_of_model(model, [configs[i] for i in rows]), strict=True):
            named[row] = name
    return [  # values that are printed alike get a number
        name if named.count(name) == 1 else f"{name} ({named[: i + 1].count(name)})" for i, name in enumerate(named)
    ]


def _labels_of_model(model: str, configs: Sequence[Flat]) -> list[str]:
    keys = _telling_keys(configs)
    short = _short_keys(keys)
    texts = {key: _short_values(key, [config.get(key, ABSENT) for config in configs]) for key in keys}
    return [
        " ".join([model, *(f"{short[key]}={texts[key][i]}" for key in keys if key in config)])
        for i, config in enumerate(configs)
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
    lengths = {
        key: next(
            (n for n in range(1, len(own)) if sum(own[-n:] == other[-n:] for other in parts.values()) == 1), len(own)
        )
        for key, own in parts.items()
    }
    return {key: ".".join(own[-lengths[key] :]) for key, own in parts.items()}


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
