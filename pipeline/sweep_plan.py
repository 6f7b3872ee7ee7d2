"""The plan of a sweep: which experiments, in which folders, and which have stages in common."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import read_json
from pipeline.config import Config
from pipeline.config_file import config_tree, overridden, parse_config, read_tree
from pipeline.run_dir import CONFIG_FILE, digest
from pipeline.stages import lineage
from pipeline.sweep_axes import combinations, name_of, parse_axes, settings_of, varying


@dataclass(frozen=True)
class Combination:
    """One run of a sweep: its folder's name, what it sets, and its checked config."""

    name: str
    settings: Mapping[str, Any]
    config: Config
    lineage: tuple[str, ...]


def plan(source: Path, arguments: Sequence[str]) -> list[Combination]:
    """Return the combinations that `--set` arguments span over an experiment file.

    Every combination's config is checked here, before anything runs.

    Raises:
        HardspikeError: faults in the file, the values or a combination, or two combinations that
            are the same experiment; one line a fault.
    """
    tree, choices = read_tree(source), combinations(parse_axes(arguments))
    configs, faults = [], list[tuple[str, str]]()
    for overrides in choices:
        try:
            configs.append(overridden(tree, overrides, str(source)))
        except HardspikeError as error:
            which = ",".join(overrides)
            faults += [(line, which) for line in str(error).splitlines()]
    if faults:
        raise HardspikeError(*_in_lines(faults, len(choices)))
    settings = [settings_of(overrides) for overrides in choices]
    planned = [
        Combination(name_of(differing), entry, config, lineage(config))
        for differing, entry, config in zip(varying(settings), settings, configs, strict=True)
    ]
    _refuse_twins(planned)
    return planned


def _in_lines(faults: Sequence[tuple[str, str]], count: int) -> list[str]:
    """Return each fault once; one that only some combinations have names the first of them."""
    first = dict(reversed(faults))
    times = Counter(line for line, _ in faults)
    return [
        line if line.startswith("--set") or times[line] == count else f"{line} (in {first[line]})"
        for line in dict.fromkeys(line for line, _ in faults)
    ]


def _refuse_twins(planned: Sequence[Combination]) -> None:
    seen: dict[str, str] = {}
    faults = []
    for combination in planned:
        other = seen.setdefault(digest(config_tree(combination.config)), combination.name)
        if other != combination.name:
            faults.append(f"--set: {other} and {combination.name} are the same experiment")
    names = Counter(combination.name for combination in planned)
    faults += [f"--set: {name} is there {n} times" for name, n in names.items() if n > 1]
    if faults:
        raise HardspikeError(*faults)


def shared_stages(one: Combination, other: Combination) -> int:
    """Return how many stages two runs have in common, from the first."""
    pairs = zip(one.lineage, other.lineage, strict=True)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def runs_below(parent: Path) -> dict[str, Config]:
    """Return folder name → config of the runs that are there, those of earlier sweeps included."""
    found = {}
    for path in sorted(parent.glob(f"*/{CONFIG_FILE}")):
        # One of other code, or with faults, has nothing to give; if it is needed, its run says why.
        with contextlib.suppress(HardspikeError):
            found[path.parent.name] = parse_config(read_json(path), str(path))
    return found


def placed(planned: Sequence[Combination], there: Mapping[str, Config]) -> list[Combination]:
    """Give every combination the folder that holds its experiment already, or else its own name.

    Where another combination's run has that name, a hash tells them apart.
    """
    held: dict[str, str] = {}
    own = {combination.name for combination in planned}
    for name in sorted(there, key=lambda name: name not in own):
        held.setdefault(digest(config_tree(there[name])), name)
    digests = [digest(config_tree(combination.config)) for combination in planned]
    taken = {held[found] for found in digests if found in held}
    found_at = []
    for combination, found in zip(planned, digests, strict=True):
        name = held.get(found, combination.name)
        if found not in held and name in taken:
            name = f"{name}-{found[:8]}"
        found_at.append(replace(combination, name=name))
    return found_at


def relatives(
    planned: Sequence[Combination], there: Mapping[str, Config], parent: Path
) -> dict[str, list[Path]]:
    """Return lineage of the first stage → the runs, there or planned, that train alike."""
    first = {name: lineage(config)[0] for name, config in there.items()}
    first |= {combination.name: combination.lineage[0] for combination in planned}
    alike: dict[str, list[Path]] = {}
    for name, key in first.items():
        alike.setdefault(key, []).append(parent / name)
    return alike
