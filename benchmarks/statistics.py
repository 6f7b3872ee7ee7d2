"""Figures of repeated runs: mean and spread of an arm, and paired differences between two arms.

Runs repeat over folds of the recordings and over seeds. Two seeds of one fold are tested on the
same recordings, so their figures are not independent: an interval counts folds, each the mean over
its seeds. Without folds it counts seeds. The training parts of two folds overlap, which no interval
over folds accounts for (Bengio and Grandvalet 2004, "No unbiased estimator of the variance of
k-fold cross-validation"): it is somewhat too narrow, and says nothing about recordings of another
kind.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scipy.special import stdtrit

from export.errors import HardspikeError

_UPPER_TAIL = 0.975


class Match(NamedTuple):
    """What pairs the runs of two arms: the fold (None without folds) and the seed."""

    fold: int | None
    seed: int


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (of n − 1 degrees of freedom; None for one value)."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Difference:
    """A mean difference between paired units, its 95% interval and how many units there were."""

    mean: float
    low: float
    high: float
    n: int
    unit: Literal["folds", "seeds"]


def summary(values: Sequence[float]) -> Summary:
    """Return mean and standard deviation of one value or more.

    Raises:
        HardspikeError: there are no values.
    """
    n = len(values)
    if n == 0:
        raise HardspikeError("found no values to summarise; one or more are needed")
    mean = math.fsum(values) / n
    squares = math.fsum((value - mean) ** 2 for value in values)
    return Summary(mean, math.sqrt(squares / (n - 1)) if n > 1 else None, n)


def by_unit(values: Mapping[Match, float]) -> dict[int, float]:
    """Return fold → mean over its seeds, in order; without folds seed → value.

    Raises:
        HardspikeError: some runs have a fold and some have none, or the folds' seeds differ.
    """
    seeds: dict[int | None, list[int]] = {}
    for match in sorted(values, key=lambda match: (match.fold is not None, match)):
        seeds.setdefault(match.fold, []).append(match.seed)
    if None in seeds:
        if len(seeds) > 1:
            raise HardspikeError("found runs with a fold and runs without; all or none have one")
        return {seed: values[Match(None, seed)] for seed in seeds[None]}
    first = next(iter(seeds.values()), [])
    for fold, found in seeds.items():
        if found != first:
            raise HardspikeError(
                f"fold {fold} has the seeds {_listed(found)}, others {_listed(first)}; "
                "every fold needs the same"
            )
    means = {
        fold: summary([values[Match(fold, seed)] for seed in found]).mean
        for fold, found in seeds.items()
    }
    return {fold: mean for fold, mean in means.items() if fold is not None}


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def paired_difference(one: Mapping[Match, float], other: Mapping[Match, float]) -> Difference:
    """Return the mean of `one` − `other` over paired units, with Student's 95% interval.

    With d the difference of a unit (fold or seed), d̄ ± t(0.975; n − 1) · sd(d)/√n.

    Raises:
        HardspikeError: the two have not the same folds and seeds, or fewer than two units.
    """
    unpaired = sorted(set(one) ^ set(other), key=str)
    if unpaired:
        fold, seed = unpaired[0]
        raise HardspikeError(
            f"fold {fold}, seed {seed} is in one arm alone; paired arms have the same runs"
        )
    unit: Literal["folds", "seeds"] = (
        "seeds" if any(match.fold is None for match in one) else "folds"
    )
    found = summary(list(by_unit({match: one[match] - other[match] for match in one}).values()))
    if found.sd is None:
        raise HardspikeError(f"found 1 of {unit}; a 95% interval needs two or more")
    return Difference(found.mean, *interval(found), found.n, unit)


def interval(found: Summary) -> tuple[float, float]:
    """Return Student's 95% interval of the mean of two values or more, its ends.

    Raises:
        HardspikeError: there is one value alone.
    """
    if found.sd is None:
        raise HardspikeError("found 1 value; a 95% interval needs two or more")
    margin = float(stdtrit(found.n - 1, _UPPER_TAIL)) * found.sd / math.sqrt(found.n)
    return found.mean - margin, found.mean + margin


def plus_minus(found: Summary, digits: int = 1) -> str:
    """Return `mean ± standard deviation`, with a dash for the deviation of a single value."""
    spread = "–" if found.sd is None else f"{found.sd:.{digits}f}"
    return f"{_minus(f'{found.mean:z.{digits}f}')} ± {spread}"


def with_interval(found: Difference, digits: int = 1) -> str:
    """Return `+mean (95% low to high)`, every number signed."""
    mean, low, high = (
        _minus(f"{value:+z.{digits}f}") for value in (found.mean, found.low, found.high)
    )
    return f"{mean} (95% {low} to {high})"


def _minus(number: str) -> str:
    return number.replace("-", "−")
