"""Runs side by side: which settings differ, what each reached, and what it cost."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from pipeline.compare_figures import Figures, read_figures
from pipeline.config_file import TAGS, config_tree
from pipeline.run_dir import CONFIG_FILE
from pipeline.stages import load_run

SCHEMA = "hardspike.compare/1"
BITS = "convert.weight_bits"
Leaf = Any
"""A config value below which nothing is told apart: a scalar, a list of scalars, or nothing."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its config as dotted key → value, and its figures."""

    path: Path
    settings: Mapping[str, Leaf]
    figures: Figures


@dataclass(frozen=True)
class Comparison:
    """The runs that could be compared, why others could not, and the keys in which they differ."""

    runs: Sequence[Run]
    faults: Sequence[str]
    keys: Sequence[str]


def compare(sources: Sequence[Path]) -> Comparison:
    """Read runs, and folders of runs such as a sweep's.

    Raises:
        HardspikeError: a source is neither, or none of the runs can be compared.
    """
    found: list[tuple[int, Run]] = []
    faults: list[str] = []
    for path, place in _expanded(sources).items():
        try:
            config = load_run(path)
            figures = read_figures(path, config)
        except HardspikeError as error:
            faults += [_named(path, line) for line in str(error).splitlines()]
            continue
        found.append((place, Run(path, dict(_leaves(config_tree(config))), figures)))
    if not found:
        raise HardspikeError(*faults, "none of the runs is finished: there is nothing to compare")
    keys = differing_keys([run.settings for _, run in found])
    found.sort(key=lambda pair: (pair[0], [_rank(pair[1].settings.get(key)) for key in keys]))
    return Comparison([run for _, run in found], faults, keys)


def _rank(value: Leaf) -> tuple[int, float, str]:
    """Order values: nothing, then numbers by size, then the rest by text."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    return 2, 0.0, text_of(value)


def _named(path: Path, line: str) -> str:
    return line if line.startswith(str(path)) else f"{path}: {line}"


def _expanded(sources: Sequence[Path]) -> dict[Path, int]:
    """Return run folder → place of its source, each once; a folder of runs stands for those."""
    seen: set[Path] = set()
    found: dict[Path, int] = {}
    faults = []
    for place, source in enumerate(sources):
        runs = [source]
        if not (source / CONFIG_FILE).exists():
            runs = [path.parent for path in sorted(source.glob(f"*/{CONFIG_FILE}"))]
        if not runs:
            faults.append(f"{source}: is neither a run nor a folder of runs (no {CONFIG_FILE})")
        for run in runs:
            if run.resolve() not in seen:
                seen.add(run.resolve())
                found[run] = place
    if faults:
        raise HardspikeError(*faults)
    return found


def _leaves(tree: Any, prefix: str = "") -> list[tuple[str, Leaf]]:
    """Return dotted key → value of a config tree; lists of sections count by their index."""
    if isinstance(tree, list) and any(isinstance(entry, dict) for entry in tree):
        tree = {str(index): entry for index, entry in enumerate(tree)}
    if not isinstance(tree, dict) or not tree:
        return [(prefix.removesuffix("."), tree)]
    return [leaf for key, entry in tree.items() for leaf in _leaves(entry, f"{prefix}{key}.")]


def differing_keys(settings: Sequence[Mapping[str, Leaf]]) -> list[str]:
    """Return the keys whose values are not the same in all of `settings`, in the config's order.

    Where sections are of different kinds or methods, that says which keys a run has; a key counts
    if it differs among the runs that have it.
    """
    keys = dict.fromkeys(key for entry in settings for key in entry)
    different = [key for key in keys if _differs(key, settings)]
    tagged = {key.rpartition(".")[0] for key in different if key.rpartition(".")[2] in TAGS}
    return [key for key in different if _is_shown(key, settings, tagged)]


def _differs(key: str, settings: Sequence[Mapping[str, Leaf]]) -> bool:
    return len({json.dumps(entry.get(key)) for entry in settings}) > 1


def _is_shown(key: str, settings: Sequence[Mapping[str, Leaf]], tagged: set[str]) -> bool:
    having = [entry for entry in settings if key in entry]
    of_a_kind = any(key.startswith(f"{section}.") for section in tagged)
    return len(having) == len(settings) or not of_a_kind or _differs(key, having)


def text_of(value: Leaf) -> str:
    """Return a config value as a person writes it; nothing is a dash."""
    match value:
        case None:
            return "–"
        case str():
            return value
        case float():
            return repr(value).removesuffix(".0")
    return json.dumps(value, ensure_ascii=False)


def default_picture(runs: Sequence[Run]) -> Path:
    """Return `compare.png` in the folder that holds all of the runs."""
    parents = [run.path.resolve().parent for run in runs]
    return Path(os.path.relpath(os.path.commonpath(parents))) / "compare.png"
