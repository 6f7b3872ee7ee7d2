"""The study's tables and headline, from the records alone. Accuracies are in percent."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.records import RunRecord, by_match
from benchmarks.sast_study.plan import (
    ARMS,
    GRID,
    GRID_RHOS,
    GRID_SLOPES,
    NMNIST,
    RECOMMENDED,
)
from benchmarks.statistics import (
    Difference,
    Match,
    Summary,
    paired_difference,
    plus_minus,
    summary,
    with_interval,
)
from benchmarks.training_step import step_ratios
from export.errors import HardspikeError

Figure = Callable[[RunRecord], float | None]
Row = tuple[str, ...]
Values = Mapping[Match, float]


@dataclass(frozen=True)
class Column:
    """A column of an arm's table: its head, its figure and the bits of the runs it is read from."""

    head: str
    figure: Figure
    bits: int = 8
    digits: int = 1


def _corruption(kind: str) -> Figure:
    def figure(record: RunRecord) -> float | None:
        found = [entry for entry in record.figures.corruptions if entry.kind == kind]
        return 100 * found[0].score.accuracy if found else None

    return figure


def deployed(record: RunRecord) -> float:
    """Return the accuracy of the deployed network."""
    return 100 * record.figures.deployed.accuracy


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


def synops(record: RunRecord) -> float:
    """Return the synaptic operations of a recording, in thousands."""
    return record.figures.synops_per_sample / 1000


COLUMNS = (
    Column("smooth", smooth),
    Column("hard", _hard),
    Column("lost at the swap", lost),
    Column("8 bit", deployed),
    Column("4 bit", deployed, bits=4),
    Column("8 bit, half of the events", _corruption("drop")),
    Column("8 bit, noise of 1 Hz", _corruption("noise")),
    Column("SynOps, 8 bit (10³)", synops, digits=0),
    Column("gradients (10³)", lambda r: r.figures.training.gradient_evaluations / 1000),
    Column("training (s)", lambda r: r.figures.training.seconds, digits=0),
)


@dataclass(frozen=True)
class Records:
    """All records of the study, by the file that holds them."""

    by_file: Mapping[str, tuple[RunRecord, ...]]

    @classmethod
    def of(cls, records: Iterable[RunRecord]) -> "Records":
        """Sort records by their file."""
        found: dict[str, list[RunRecord]] = {}
        for record in records:
            found.setdefault(record.arm, []).append(record)
        return cls({name: tuple(runs) for name, runs in found.items()})

    def runs(self, dataset: str, arm: str, bits: int) -> tuple[RunRecord, ...]:
        """Return an arm's runs at so many bits."""
        runs = self.by_file.get(f"{dataset}-{arm}", ())
        return tuple(run for run in runs if run.figures.weight_bits == bits)

    def on_folds(self, folds: Collection[int]) -> "Records":
        """Return the records of some folds alone."""
        return Records(
            {
                name: tuple(run for run in runs if run.fold in folds)
                for name, runs in self.by_file.items()
            }
        )

    def arms(self, dataset: str) -> list[str]:
        """Return the arms that have runs at every bit width, in the order of the study."""
        return [arm for arm in ARMS if all(self.runs(dataset, arm, bits) for bits in (8, 4))]

    def values(self, dataset: str, arm: str, figure: Figure, bits: int = 8) -> dict[Match, float]:
        """Return fold and seed → figure; runs without the figure are left out."""
        known = [run for run in self.runs(dataset, arm, bits) if figure(run) is not None]
        return by_match(known, lambda run: figure(run) or 0.0)


def arm_table(records: Records, dataset: str) -> list[Row]:
    """Return one row an arm, mean ± standard deviation over its runs; the head comes first."""
    rows: list[Row] = [("training", "n", *(column.head for column in COLUMNS))]
    for arm in records.arms(dataset):
        cells = []
        for column in COLUMNS:
            values = records.values(dataset, arm, column.figure, column.bits)
            found = summary(list(values.values())) if values else None
            cells.append("–" if found is None else plus_minus(found, column.digits))
        rows.append((ARMS[arm][0], str(len(records.runs(dataset, arm, 8))), *cells))
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
            cells = [
                plus_minus(summary([figure(run) or 0.0 for run in runs]), digits)
                for figure, runs, digits in columns
            ]
            rows.append((f"{slope:g}", f"{rho:g}", str(len(eight)), *cells))
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


def difference(
    records: Records, dataset: str, pair: tuple[str, str], figure: Figure, bits: int = 8
) -> Difference | None:
    """Return the paired difference of two arms over the runs both have; None below two units."""
    one, other = (records.values(dataset, arm, figure, bits) for arm in pair)
    common = _complete(set(one) & set(other))
    try:
        return paired_difference(
            {match: one[match] for match in common}, {match: other[match] for match in common}
        )
    except HardspikeError:
        return None


def _complete(matches: set[Match]) -> list[Match]:
    """Return the matches of those seeds that every fold has, so that folds weigh the same."""
    folds = {match.fold for match in matches}
    seeds = {match.seed for match in matches}
    if folds != {None}:
        seeds = {seed for seed in seeds if all(Match(fold, seed) in matches for fold in folds)}
    return [match for match in matches if match.seed in seeds]


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
            cells = (with_interval(eight), with_interval(four), with_interval(ops, 0))
            rows.append((names, f"{eight.n} {eight.unit}", *cells))
    return rows


def best(records: Records, figure: Figure) -> str:
    """Return the arm with the largest mean of a figure on N-MNIST-1k at 8 bits.

    The mean is over the folds and seeds that all arms with that figure have.

    Raises:
        HardspikeError: no run has it, or the arms have no fold and seed in common.
    """
    values = {
        arm: found for arm in records.arms(NMNIST) if (found := records.values(NMNIST, arm, figure))
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
    plain_ops = records.values(NMNIST, "plain", synops)
    recipe_ops = records.values(NMNIST, RECOMMENDED, synops)
    found = {
        "gap_plain_points": list(records.values(NMNIST, "plain", lost).values()),
        "gap_sast_points": list(records.values(NMNIST, "sast", lost).values()),
        "smooth_change_points": _paired(
            records.values(NMNIST, "sast", smooth), records.values(NMNIST, "plain", smooth)
        ),
        "int8_minus_best_smooth_points": _paired(best_deployed[8], best_smooth),
        "int4_minus_best_smooth_points": _paired(best_deployed[4], best_smooth),
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
    return {name: _as_json(summary(values)) for name, values in found.items()}


def _paired(one: Values, other: Values) -> list[float]:
    return [one[match] - other[match] for match in sorted(one.keys() & other.keys())]


def _as_json(found: Summary) -> dict[str, Any]:
    sd = None if found.sd is None else round(found.sd, 4)
    return {"mean": round(found.mean, 4), "sd": sd, "n": found.n}
