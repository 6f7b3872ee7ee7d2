"""The study's tables and headline, from the records alone. Accuracies are in percent."""

import itertools
from collections.abc import Sequence
from statistics import median

from benchmarks.records import RunRecord
from benchmarks.run_figures import Score
from benchmarks.sast_study.plan import ARMS, GRID, GRID_RHOS, GRID_SLOPES
from benchmarks.statistics import plus_minus, summary
from benchmarks.study.tables import (
    Column,
    Figure,
    Records,
    Row,
    cells,
    corruption,
    deployed,
    synops,
)
from export.errors import HardspikeError


def smooth(record: RunRecord) -> float | None:
    """Return the accuracy of the smooth network, None after training with hard spikes."""
    score = record.figures.smooth
    return None if score is None else 100 * score.accuracy


def lost(record: RunRecord) -> float | None:
    """Return the points lost where the hard threshold takes the smooth one's place.

    Thresholds that were calibrated are those of the hard network.
    """
    whole, left = record.figures.smooth, _hard_score(record)
    if whole is None:
        return None
    if whole.n == left.n:  # one quotient, so that 3 of 200 recordings are 1.5
        return 100 * (whole.correct - left.correct) / whole.n
    return 100 * (whole.accuracy - left.accuracy)


def hard(record: RunRecord) -> float:
    """Return the accuracy of the hard network in float, calibrated where it was."""
    return 100 * _hard_score(record).accuracy


def _hard_score(record: RunRecord) -> Score:
    return record.figures.calibrated or record.figures.hard


def gradients(record: RunRecord) -> float:
    """Return the gradient evaluations of training, in thousands."""
    return record.figures.training.gradient_evaluations / 1000


def picked_by(record: RunRecord) -> str:
    """Return what picked the epoch of a run: a validation accuracy, or nothing, which is the last.

    Without validation recordings the last epoch is kept.
    """
    if record.config["data"]["validation_fraction"] == 0:
        return "last"
    return str(record.config["train"]["select_by"])


COLUMNS = (
    Column("smooth", smooth),
    Column("hard", hard),
    Column("lost at the swap", lost),
    Column("8 bit", deployed),
    Column("4 bit", deployed, bits=4),
    Column("8 bit, half of the events", corruption("drop")),
    Column("8 bit, noise of 1 Hz", corruption("noise")),
    Column("SynOps, 8 bit (10³)", synops, digits=0),
    Column("gradients (10³)", gradients),
)


def arm_table(records: Records, dataset: str) -> list[Row]:
    """Return one row an arm, mean ± standard deviation over its runs; the head comes first."""
    heads = (*(column.head for column in COLUMNS), "training (s, median)")
    rows: list[Row] = [("training", "epoch by", "n", *heads)]
    for arm in records.arms(dataset, ARMS):
        runs = records.runs(dataset, arm, 8)
        seconds = median(run.figures.training.seconds for run in runs)
        texts = (*cells(records, dataset, arm, COLUMNS), f"{seconds:.0f}")
        rows.append((ARMS[arm][0], pick(records, dataset, arm), str(len(runs)), *texts))
    return rows


def pick(records: Records, dataset: str, arm: str) -> str:
    """Return what picked the epochs of an arm: `smooth`, `hard` or `last`."""
    return " or ".join(sorted({picked_by(run) for run in records.runs(dataset, arm, 8)}))


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
                (hard, eight, 1),
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


def best_of_grid(records: Records) -> tuple[float, float]:
    """Return slope and ρ, above 0, of the grid's best hard networks by validation accuracy.

    Raises:
        HardspikeError: there is no such run.
    """
    means: dict[tuple[float, float], float] = {}
    for slope, rho in itertools.product(GRID_SLOPES, GRID_RHOS):
        runs = grid_runs(records, slope, rho, 8)
        if rho and runs:
            found = [run.figures.training.validation["hard"] for run in runs]
            means[slope, rho] = summary(found).mean
    if not means:
        raise HardspikeError("the study's records: found no run of the grid with a ρ above 0")
    return max(means, key=lambda point: means[point])


def shown_in_grid(records: Records, plain: float, sast: float) -> list[tuple[float, float]]:
    """Return slope and ρ of the points at which ρ = 0 loses `plain` points at the swap and more,
    and ρ at most `sast`; means over the seeds.
    """
    means = {
        (slope, rho): summary([lost(run) or 0.0 for run in runs]).mean
        for slope, rho in itertools.product(GRID_SLOPES, GRID_RHOS)
        if (runs := grid_runs(records, slope, rho, 8))
    }
    return [
        (slope, rho)
        for (slope, rho), gap in means.items()
        if rho and gap <= sast and means.get((slope, 0.0), 0.0) >= plain
    ]
