"""Runs that differ in nothing but their seed are one group; runs that were measured differently are not compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aevq.errors import UserError
from aevq.report.labels import labels
from aevq.report.statistics import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aevq.report.records import Record

__all__ = ["NO_PART_OF_IT", "Group", "differences", "group_runs", "mixture_of"]

# What does not change a model: where things lie, what is shown, and what is measured or drawn afterwards.
NO_PART_OF_IT = {
    *("seed", "paths", "tags", "notes", "resume", "trust", "show_traceback", "objective", "logger"),
    *("pictures", "evaluation", "data.root", "data.timeout", "data.fallback", "data.download"),
    # What the data are stated to be, which follows from them; older runs do not state it.
    *("data.image_shape", "data.num_classes", "prior.pixelcnn.num_classes"),
    *("data.name", "trainer.enable_progress_bar", "trainer.enable_model_summary"),
}
MEASURED = {
    "data": "data set",
    "fingerprint": "data (SHA-256)",
    "binarize": "data.binarize",
    "metrics_version": "metrics_version",
    "samples": "samples a prior",
    "mode_samples": "samples for modes",
}


@dataclass(frozen=True)
class Group:
    """Runs of different seeds.

    Attributes:
        label: Short name, unlike any other group's.
        runs: One for each seed, by seed.
        repeats: Further runs of the same seeds, of which no figure is taken: they would feign a smaller spread.
        settings: What its configuration differs in from other groups', key → value.
    """

    label: str
    runs: tuple[Record, ...]
    repeats: tuple[Record, ...]
    settings: dict[str, Any]

    @property
    def model(self) -> str:
        """Name of the model's class."""
        return str(self.runs[0].result.model["name"])

    @cached_property
    def figures(self) -> dict[str, Estimate]:
        """Each figure that one run at least has, over the seeds."""
        names = dict.fromkeys(name for run in self.runs for name in run.figures)
        values = {name: [run.figures[name] for run in self.runs if name in run.figures] for name in names}
        return {name: found for name in names if (found := estimate(values[name]))}

    @cached_property
    def priors(self) -> list[str]:
        """Names of the priors that samples were measured of, the best by Fréchet distance first."""
        names = dict.fromkeys(name.split("/")[1] for name in self.figures if name.startswith("samples/"))
        return sorted(names, key=lambda name: _mean(self.figures.get(f"samples/{name}/fd")))

    @cached_property
    def rate(self) -> str | None:
        """Name of the figure of the fewest bits a latent takes; None where the model has none, as an AE."""
        names = [name for name in self.figures if name.startswith("rate/") and name.endswith("_bits")]
        return min(names, key=lambda name: self.figures[name].mean, default=None)


def _mean(value: Estimate | None) -> float:
    return value.mean if value else float("inf")


def group_runs(runs: Sequence[Record]) -> list[Group]:
    """Groups, in the order in which their first runs come."""
    conflicts = [name for name in MEASURED if _reason(runs, name)]
    flat = [_flat(run, conflicts) for run in runs]
    differ = differences(flat)
    rows: dict[str, list[int]] = {}
    for i, config in enumerate(flat):
        rows.setdefault(repr([(key, config.get(key)) for key in differ]), []).append(i)
    settings = [{key: flat[members[0]][key] for key in differ if key in flat[members[0]]} for members in rows.values()]
    members = [[runs[i] for i in indices] for indices in rows.values()]
    names = labels([group[0].result.model["name"] for group in members], settings)
    return [_group(*parts) for parts in zip(names, members, settings, strict=True)]


def _group(label: str, runs: list[Record], settings: dict[str, Any]) -> Group:
    """Of runs of one seed the last is taken."""
    by_seed = {run.result.seed: run for run in sorted(runs, key=lambda run: run.result.started)}
    chosen = sorted(by_seed.values(), key=lambda run: run.result.seed)
    repeats = [run for run in runs if run not in chosen]
    return Group(label, tuple(chosen), tuple(repeats), settings)


def differences(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Keys of flat configurations that are not everywhere there and equal."""
    keys = dict.fromkeys(key for config in configs for key in config)
    missing = object()
    return [key for key in keys if len({repr(config.get(key, missing)) for config in configs}) > 1]


def _flat(run: Record, conflicts: Sequence[str]) -> dict[str, Any]:
    """What makes a run, apart from the seed, `a.b.c` → value; and in `conflicts`, how it was measured."""
    flat: dict[str, Any] = {"prior": list(run.config.get("prior") or {}), "data": run.measurement.data}
    _flatten(run.config, "", flat)
    return flat | {f"measured.{name}": getattr(run.measurement, name) for name in conflicts if name != "data"}


def _flatten(node: dict[str, Any], prefix: str, into: dict[str, Any]) -> None:
    for key, value in node.items():
        name = f"{prefix}{key}"
        if name in NO_PART_OF_IT or name.endswith(".seed"):
            continue
        if isinstance(value, dict):
            _flatten(value, f"{name}.", into)
        else:
            into[name] = value


def mixture_of(runs: Sequence[Record], allow: bool) -> list[str]:
    """Why the figures of these runs may not stand in one table: a sentence for each reason.

    Args:
        runs: Finished ones.
        allow: Whether to tell instead of to refuse.

    Raises:
        UserError: If there is a reason and `allow` is false; it names the runs.
    """
    reasons = [reason for name in MEASURED if (reason := _reason(runs, name))]
    if reasons and not allow:
        raise UserError(f"compare: {'; '.join(reasons)}. --allow-mixed compares them all the same")
    return reasons


def _reason(runs: Sequence[Record], name: str) -> str | None:
    if name in ("samples", "mode_samples"):  # runs that were measured without do not take part in their tables
        runs = [run for run in runs if getattr(run.measurement, name) is not None]
    by_value: dict[Any, list[str]] = {}
    for run in runs:
        by_value.setdefault(getattr(run.measurement, name), []).append(run.path.name)
    if len(by_value) < 2:
        return None
    parts = (f"{_short(value)} ({_some(names)})" for value, names in by_value.items())
    return f"the runs differ in {MEASURED[name]}: {', '.join(parts)}"


def _short(value: object) -> str:
    text = "unknown" if value is None else str(value)
    return f"{text[:12]}…" if len(text) > 40 else text


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"
