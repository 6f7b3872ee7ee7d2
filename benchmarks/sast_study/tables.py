"""The study's tables and headline, from the records alone. Accuracies are in percent."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.records import RunRecord
from benchmarks.sast_study.plan import (
    ARMS,
    GRID,
    GRID_RHOS,
    GRID_SLOPES,
    NMNIST,
    RECOMMENDED,
    SWAPPED,
)
from benchmarks.statistics import plus_minus, summary, with_interval
from benchmarks.study.tables import (
    Column,
    Figure,
    Records,
    Row,
    as_json,
    cells,
    corruption,
    deployed,
    difference,
    paired,
    synops,
)
from benchmarks.training_step import step_ratios
from export.errors import HardspikeError


def smooth(record: RunRecord) -> float | None:
    """Return the accuracy of the smooth network, None after training with hard spikes."""
    score = record.figures.smooth
    return None if score is None else 100 * score.accuracy


def lost(record: RunRecord) -> float | None:
    """Return the points lost where the hard threshold takes the smooth one's place."""
    gap = record.figures.transfer_gap
    return None if gap is None else 100 * gap


def _hard(record: RunRecord) -> float:
    score = record.figures.calibrated or record.figures.hard
    return 100 * score.accuracy


COLUMNS = (
    Column("smooth", smooth),
    Column("hard", _hard),
    Column("lost at the swap", lost),
    Column("8 bit", deployed),
    Column("4 bit", deployed, bits=4),
    Column("8 bit, half of the events", corruption("drop")),
    Column("8 bit, noise of 1 Hz", corruption("noise")),
    Column("SynOps, 8 bit (10³)", synops, digits=0),
    Column("gradients (10³)", lambda r: r.figures.training.gradient_evaluations / 1000),
    Column("training (s)", lambda r: r.figures.training.seconds, digits=0),
)


def arm_table(records: Records, dataset: str) -> list[Row]:
    """Return one row an arm, mean ± standard deviation over its runs; the head comes first."""
    rows: list[Row] = [("training", "n", *(column.head for column in COLUMNS))]
    for arm in records.arms(dataset, ARMS):
        texts = cells(records, dataset, arm, COLUMNS)
        rows.append((ARMS[arm][0], str(len(records.runs(dataset, arm, 8))), *texts))
    return rows


def grid_table(records: Records) -> list[Row]:
    """Return one row a slope and ρ: means over the seeds; the head comes first."""
    heads = ("β", "ρ", "n", "smooth", "hard", "lost at the swap", "8 bit", "4 bit", "SynOps (10³)")
    rows: list[Row] = [heads]
    for slope in GRID_SLOPES:
        for rho in GRID_RHOS:
            eight, four = (grid_runs(records, slope, rho, bits) for bits in (8, 4))
            if not eight or not four:
                continue
            columns: list[tuple[Figure, Sequence[RunRecord], int]] = [
                (smooth, eight, 1),
                (_hard, eight, 1),
                (lost, eight, 1),
                (deployed, eight, 1),
                (deployed, four, 1),
                (synops, eight, 0),
            ]
            texts = [
                plus_minus(summary([figure(run) or 0.0 for run in runs]), digits)
                for figure, runs, digits in columns
            ]
            rows.append((f"{slope:g}", f"{rho:g}", str(len(eight)), *texts))
    return rows


def grid_runs(records: Records, slope: float, rho: float, bits: int) -> list[RunRecord]:
    """Return the runs of one point of the grid."""
    return [
        run
        for run in records.by_file.get(GRID, ())
        if run.figures.weight_bits == bits
        and run.config["train"]["rho"] == rho
        and run.config["train"]["slope"]["start"] == slope
    ]


COMPARISONS = (
    ("sast", "plain"),
    ("sast-hard-pick", "plain-hard-pick"),
    ("sast-hard-pick", "sast"),
    ("sast", "compute-matched"),
    ("sast", "random"),
    ("sast", "plain-calibrated"),
    ("sast-calibrated", "sast"),
    ("slope", "plain"),
    ("slope", "sast"),
    ("slope-sast", "slope"),
    ("slope-sast", "slope-matched"),
    ("hard-forward", "slope"),
    ("theory", "sast"),
    ("low-bit", "slope-sast"),
    ("recipe", "slope-sast"),
    ("recipe", "recipe-without-sast"),
    ("recipe", "recipe-dense"),
    ("recipe-dense", "recipe-smooth"),
    ("recipe-hard", "recipe"),
    ("recipe-hard", "recipe-hard-without-sast"),
    ("recipe-hard", "recipe-hard-dense"),
    ("recipe-hard-dense", "recipe-dense"),
    ("recipe-hard", "hard-forward"),
)


def comparison_table(records: Records, dataset: str) -> list[Row]:
    """Return the paired differences of deployed accuracy in points; the head comes first."""
    rows: list[Row] = [("first minus second", "over", "8 bit", "4 bit", "SynOps (10³)")]
    for pair in COMPARISONS:
        found = [
            difference(records, dataset, pair, deployed, 8),
            difference(records, dataset, pair, deployed, 4),
            difference(records, dataset, pair, synops, 8),
        ]
        known = [one for one in found if one is not None]
        if len(known) == len(found):
            names = " − ".join(ARMS[arm][0] for arm in pair)
            eight, four, ops = known
            texts = (with_interval(eight), with_interval(four), with_interval(ops, 0))
            rows.append((names, f"{eight.n} {eight.unit}", *texts))
    return rows


def best(records: Records, figure: Figure) -> str:
    """Return the arm with the largest mean of a figure on N-MNIST-1k at 8 bits.

    The mean is over the folds and seeds that all arms with that figure have.

    Raises:
        HardspikeError: no run has it, or the arms have no fold and seed in common.
    """
    values = {
        arm: found
        for arm in records.arms(NMNIST, ARMS)
        if (found := records.values(NMNIST, arm, figure))
    }
    common = set.intersection(*map(set, values.values())) if values else set()
    if not common:
        raise HardspikeError(
            f"the study's records: found no fold and seed of {NMNIST} in all of "
            f"{', '.join(values) or 'its arms'}; `make study-sast` runs them"
        )
    means = {arm: summary([found[match] for match in common]).mean for arm, found in values.items()}
    return max(means, key=lambda arm: means[arm])


def headline(records: Records, steps: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the study's figures in short, each as mean, standard deviation and n of its runs.

    Raises:
        HardspikeError: the records lack the runs of a figure.
    """
    best_smooth = records.values(NMNIST, best(records, smooth), smooth)
    arm = best(records, deployed)
    best_deployed = {bits: records.values(NMNIST, arm, deployed, bits) for bits in (8, 4)}
    plain, sast = SWAPPED
    plain_ops = records.values(NMNIST, "plain", synops)
    recipe_ops = records.values(NMNIST, RECOMMENDED, synops)
    found = {
        "gap_plain_points": list(records.values(NMNIST, plain, lost).values()),
        "gap_sast_points": list(records.values(NMNIST, sast, lost).values()),
        "smooth_change_points": paired(
            records.values(NMNIST, sast, smooth), records.values(NMNIST, plain, smooth)
        ),
        "int8_minus_best_smooth_points": paired(best_deployed[8], best_smooth),
        "int4_minus_best_smooth_points": paired(best_deployed[4], best_smooth),
        "step_ratio": step_ratios(steps),
        "synops_ratio": [
            recipe_ops[match] / plain_ops[match] for match in sorted(recipe_ops.keys() & plain_ops)
        ],
    }
    for name, values in found.items():
        if not values:
            raise HardspikeError(
                f"the study's records: found no runs for {name} on {NMNIST}; "
                "`make study-sast` runs them"
            )
    return {name: as_json(summary(values)) for name, values in found.items()}
