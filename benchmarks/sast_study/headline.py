"""The study's figures in short. The best arms are chosen once, on all folds, and then kept."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.sast_study.plan import ARMS, NMNIST, RECOMMENDED, SWAPPED
from benchmarks.sast_study.tables import lost, smooth
from benchmarks.statistics import Match, by_unit, interval, summary
from benchmarks.study.tables import Figure, Records, Values, as_json, deployed, synops
from benchmarks.training_step import step_ratios
from export.errors import HardspikeError


class BestArms(NamedTuple):
    """The arms that the headline holds against each other."""

    deployed: str
    smooth: str


def best_arms(records: Records) -> BestArms:
    """Return the arms with the best deployed and the best smooth networks on N-MNIST-1k.

    Raises:
        HardspikeError: no arm has the figure on every fold and seed.
    """
    return BestArms(best(records, deployed), best(records, smooth))


def best(records: Records, figure: Figure) -> str:
    """Return the arm with the largest mean of a figure on N-MNIST-1k at 8 bits.

    An arm that lacks a fold and seed that another has is not done, and left out.

    Raises:
        HardspikeError: no arm has the figure on every fold and seed.
    """
    values = {arm: records.values(NMNIST, arm, figure) for arm in records.arms(NMNIST, ARMS)}
    every = set().union(*values.values())
    means = {
        arm: summary(list(found.values())).mean
        for arm, found in values.items()
        if found and found.keys() == every
    }
    if not means:
        raise HardspikeError(
            f"the study's records: found no arm with every fold and seed of {NMNIST}; "
            "`make study-sast` runs them"
        )
    return max(means, key=lambda arm: means[arm])


def headline_values(records: Records, arms: BestArms) -> dict[str, dict[Match, float]]:
    """Return the figures that runs give, run by run.

    Raises:
        HardspikeError: the records lack the runs of a figure.
    """
    best_smooth = records.values(NMNIST, arms.smooth, smooth)
    best_deployed = {bits: records.values(NMNIST, arms.deployed, deployed, bits) for bits in (8, 4)}
    plain_ops = records.values(NMNIST, "plain", synops)
    recipe_ops = records.values(NMNIST, RECOMMENDED, synops)
    found = {
        **gap_values(records, SWAPPED),
        "int8_minus_best_smooth_points": _minus(best_deployed[8], best_smooth),
        "int4_minus_best_smooth_points": _minus(best_deployed[4], best_smooth),
        "synops_ratio": {
            match: recipe_ops[match] / plain_ops[match]
            for match in sorted(recipe_ops.keys() & plain_ops)
        },
    }
    for name, values in found.items():
        if not values:
            raise HardspikeError(
                f"the study's records: found no runs for {name} on {NMNIST}; "
                "`make study-sast` runs them"
            )
    return found


def _minus(one: Values, other: Values) -> dict[Match, float]:
    return {match: one[match] - other[match] for match in sorted(one.keys() & other.keys())}


GAPS = ("gap_plain_points", "gap_sast_points", "smooth_change_points")
"""The figures of a pair of arms at the swap."""


def gap_values(records: Records, pair: tuple[str, str]) -> dict[str, dict[Match, float]]:
    """Return what the arms of a pair, plain and SAST, lose at the swap, and the smooth change."""
    plain, sast = pair
    found = (
        records.values(NMNIST, plain, lost),
        records.values(NMNIST, sast, lost),
        _minus(records.values(NMNIST, sast, smooth), records.values(NMNIST, plain, smooth)),
    )
    return dict(zip(GAPS, found, strict=True))


def gaps_of(records: Records, pair: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Return the same for a JSON file, each with its 95% interval over folds.

    There is nothing until both arms have every fold and seed that the plain arm has.
    """
    every = records.values(NMNIST, "plain", lost).keys()
    if any(records.values(NMNIST, arm, lost).keys() != every for arm in pair):
        return {}
    return {
        name: as_json(summary(list(values.values())))
        | {"interval_95": _as_json(list(by_unit(values).values()), "folds")}
        for name, values in gap_values(records, pair).items()
    }


def headline(
    records: Records, steps: Mapping[str, Any], arms: BestArms
) -> dict[str, dict[str, Any]]:
    """Return the figures, each as mean, standard deviation and n of its runs.

    Raises:
        HardspikeError: the records lack the runs of a figure.
    """
    found = {
        name: as_json(summary(list(values.values())))
        for name, values in headline_values(records, arms).items()
    }
    found["step_ratio"] = as_json(summary(step_ratios(steps)))
    return {name: found[name] for name in MEANING}


def headline_intervals(
    records: Records, steps: Mapping[str, Any], arms: BestArms
) -> dict[str, dict[str, Any]]:
    """Return each figure's 95% interval, Student's over folds, each the mean of its seeds.

    That of the step is over its pairs.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, values in headline_values(records, arms).items():
        found[name] = _as_json(list(by_unit(values).values()), "folds")
    found["step_ratio"] = _as_json(step_ratios(steps), "pairs")
    return {name: found[name] for name in MEANING}


def _as_json(values: list[float], unit: str) -> dict[str, Any]:
    low, high = interval(summary(values)) if len(values) > 1 else (None, None)
    return {
        "low": None if low is None else round(low, 4),
        "high": None if high is None else round(high, 4),
        "n": len(values),
        "unit": unit,
    }


MEANING: Mapping[str, str] = {
    "gap_plain_points": "points that the plain network loses at the swap, epoch by hard accuracy",
    "gap_sast_points": "points that SAST loses at the swap, epoch by hard accuracy",
    "smooth_change_points": "smooth accuracy of this SAST minus that of this plain network, points",
    "int8_minus_best_smooth_points": "best deployed network at 8 bits minus best smooth network",
    "int4_minus_best_smooth_points": "the same at 4 bits",
    "step_ratio": "time of SAST's step over the plain step",
    "synops_ratio": "SynOps of the recommended recipe over those of the plain network",
}
"""What each figure is, in the order of the page."""
