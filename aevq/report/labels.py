"""The shortest names that tell groups of runs apart: `AE`, `VAE beta=4`, `VQVAE num_codes=512`.

Groups of different models are told apart by the model; only groups of the same model need more, and of the keys in
which their configurations differ only as many as it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["labels", "value_text"]

Flat = dict[str, Any]
ABSENT = "–"


def labels(models: Sequence[str], configs: Sequence[Flat]) -> list[str]:
    """A name for each group.

    Args:
        models: Name of the model of each group.
        configs: What each group's flat configuration, key → value, differs in from the others'.

    Returns:
        As many names, all different.
    """
    named = [""] * len(models)
    for model in dict.fromkeys(models):
        rows = [i for i, name in enumerate(models) if name == model]
        for row, name in zip(rows, _labels_of_model(model, [configs[i] for i in rows]), strict=True):
            named[row] = name
    return _numbered(named)


def _labels_of_model(model: str, configs: Sequence[Flat]) -> list[str]:
    keys = _telling_keys(configs)
    short = _short_keys(keys)
    texts = {key: _short_values([config.get(key, ABSENT) for config in configs], key) for key in keys}
    return [
        " ".join([model, *(f"{short[key]}={texts[key][i]}" for key in keys if key in config)])
        for i, config in enumerate(configs)
    ]


def _telling_keys(configs: Sequence[Flat]) -> list[str]:
    """Few keys that together take different values in every two of the groups: at each turn the one that tells most."""
    keys = list(dict.fromkeys(key for config in configs for key in config))
    chosen: list[str] = []
    while keys and _apart(configs, chosen) < len(configs):
        best = max(keys, key=lambda key: (_apart(configs, [*chosen, key]), key.endswith("_target_"), -len(key)))
        if _apart(configs, [*chosen, best]) == _apart(configs, chosen):
            break
        chosen.append(best)
    return [key for key in keys if key in chosen]


def _apart(configs: Sequence[Flat], keys: Sequence[str]) -> int:
    """How many groups these keys tell apart."""
    return len({tuple(repr(config.get(key, ABSENT)) for key in keys) for config in configs})


def _short_keys(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, or more of it where two end alike; a part's class goes by the part's name."""
    plain = {key: key.removesuffix("._target_") for key in keys}
    length = dict.fromkeys(keys, 1)
    for key in keys:
        while sum(_tail(plain[key], length[key]) == _tail(other, length[key]) for other in plain.values()) > 1:
            if length[key] > plain[key].count("."):
                break
            length[key] += 1
    return {key: _tail(plain[key], length[key]) for key in keys}


def _tail(key: str, parts: int) -> str:
    return ".".join(key.split(".")[-parts:])


def _short_values(values: Sequence[Any], key: str) -> list[str]:
    """Values as one would type them, classes without their module unless that makes two alike."""
    full = [value_text(value) for value in values]
    if not key.endswith("_target_"):
        return full
    short = [text.rpartition(".")[2] for text in full]
    return short if len(set(short)) == len(set(full)) else full


def value_text(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(value_text(item) for item in value) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _numbered(names: list[str]) -> list[str]:
    """What is still alike, of values that print alike, gets a number."""
    return [
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})" for i, name in enumerate(names)
    ]
