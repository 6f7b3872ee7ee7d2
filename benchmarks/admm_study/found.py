"""All records of the study, read and checked, and what the race says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.admm_study.published import Iteration, read_iterations
from benchmarks.admm_study.race import METHODS, Lap, read_laps, seconds_to
from benchmarks.admm_study.ranks import Pair, read_pairs
from benchmarks.admm_study.scaling import Point, read_points
from benchmarks.admm_study.settings import GRIDS, NETWORKS, PUBLISHED, RACES, TUNED_ON
from benchmarks.admm_study.tuning import Choice, chosen
from benchmarks.records import read_records
from benchmarks.study.tables import Records, check_agreement
from export.errors import HardspikeError

_BELOW = (0.0, 0.01, 0.02, 0.05)
"""Levels of the race, below the lower of the two methods' best validation accuracies."""
Network = tuple[str, str]


@dataclass(frozen=True)
class Found:
    """What is on record; a part that was not run is empty."""

    records: Records
    choices: Mapping[tuple[str, str, str], Choice] = field(default_factory=dict)
    laps: Mapping[Network, Sequence[Lap]] = field(default_factory=dict)
    iterations: Mapping[str, Sequence[Iteration]] = field(default_factory=dict)
    pairs: Sequence[Pair] = ()
    points: Sequence[Point] = ()


def read_all(folder: Path) -> Found:
    """Read the records of a study's folder.

    Raises:
        HardspikeError: a record has faults, or deployed files that did not run like the reference.
    """
    runs = read_records(folder) if any(folder.glob("*.json")) else ()
    check_agreement(runs)
    return Found(
        Records.of(runs),
        _choices(folder / "tuning"),
        {
            (dataset, architecture): tuple(
                read_laps(folder / "race", f"{dataset}-{architecture}").values()
            )
            for dataset, architecture in RACES
        },
        {
            architecture: tuple(read_iterations(folder / "published", architecture).values())
            for architecture in PUBLISHED
        },
        tuple(read_pairs(folder / "ranks").values()),
        tuple(read_points(folder / "scaling").values()),
    )


def _choices(folder: Path) -> dict[tuple[str, str, str], Choice]:
    """Return what was chosen on the networks that were tuned on, of those that are complete."""
    found = {}
    for dataset, architectures in NETWORKS.items():
        for architecture in architectures:
            for method in GRIDS:
                if (dataset, architecture) in TUNED_ON:
                    continue
                try:
                    choice = chosen(dataset, architecture, method, folder)
                except HardspikeError as error:
                    if "not on record" not in str(error):
                        raise
                else:
                    found[dataset, architecture, method] = choice
    return found


def ratios(laps: Sequence[Lap]) -> list[float]:
    """Return ADMM's seconds over the surrogate's to the lower of their bests, one a seed."""
    first: dict[int, float] = {}
    for seed, _, admm, surrogate in levels(laps):
        if admm and surrogate:
            first.setdefault(seed, admm / surrogate)
    return list(first.values())


def lengths(laps: Sequence[Lap]) -> list[float]:
    """Return ADMM's seconds over the surrogate's for as many passes as epochs, one a heat."""
    whole = {(lap.seed, len(lap.seconds), lap.method): lap.seconds[-1] for lap in laps}
    heats = sorted({(lap.seed, len(lap.seconds)) for lap in laps})
    pairs = [[whole.get((*heat, method)) for method in METHODS] for heat in heats]
    return [admm / surrogate for admm, surrogate in pairs if admm and surrogate]


def levels(laps: Sequence[Lap]) -> Iterator[tuple[int, float, float | None, float | None]]:
    """Yield seed, a validation accuracy, and each method's least seconds until it.

    The first level of a seed is the lower of the two methods' best accuracies.
    """
    for seed in sorted({lap.seed for lap in laps}):
        own = [[lap for lap in laps if (lap.seed, lap.method) == (seed, m)] for m in METHODS]
        if not all(own):
            continue
        lower = min(max(max(lap.validation) for lap in of_one) for of_one in own)
        for below in _BELOW:
            admm, surrogate = (seconds_to(of_one, lower - below) for of_one in own)
            yield seed, lower - below, admm, surrogate
