"""What tables of studies are made of: figures of a run, records by arm, paired differences.

Accuracies are in percent.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.records import RunRecord, by_match
from benchmarks.statistics import (
    Difference,
    Match,
    Summary,
    paired_difference,
    plus_minus,
    summary,
)
from export.errors import HardspikeError
from pipeline.evaluate import FAST

Figure = Callable[[RunRecord], float | None]
Row = tuple[str, ...]
Values = Mapping[Match, float]
ENOUGH = 3
"""Folds or seeds below which no difference is claimed."""


@dataclass(frozen=True)
class Column:
    """A column of an arm's table: its head, its figure and the bits of the runs it is read from."""

    head: str
    figure: Figure
    bits: int = 8
    digits: int = 1


def corruption(kind: str) -> Figure:
    """Return the accuracy on recordings with a corruption of this kind."""

    def figure(record: RunRecord) -> float | None:
        found = [entry for entry in record.figures.corruptions if entry.kind == kind]
        return 100 * found[0].score.accuracy if found else None

    return figure


def deployed(record: RunRecord) -> float:
    """Return the accuracy of the deployed network."""
    return 100 * record.figures.deployed.accuracy


def synops(record: RunRecord) -> float:
    """Return the synaptic operations of a recording, in thousands."""
    return record.figures.synops_per_sample / 1000


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

    def arms(self, dataset: str, names: Iterable[str]) -> list[str]:
        """Return those of the named arms that have runs at every bit width."""
        return [arm for arm in names if all(self.runs(dataset, arm, bits) for bits in (8, 4))]

    def values(self, dataset: str, arm: str, figure: Figure, bits: int = 8) -> dict[Match, float]:
        """Return fold and seed → figure; runs without the figure are left out."""
        known = [run for run in self.runs(dataset, arm, bits) if figure(run) is not None]
        return by_match(known, lambda run: figure(run) or 0.0)


def cells(records: Records, dataset: str, arm: str, columns: Iterable[Column]) -> list[str]:
    """Return mean ± standard deviation of an arm in each column, a dash without runs."""
    texts = []
    for column in columns:
        values = records.values(dataset, arm, column.figure, column.bits)
        found = summary(list(values.values())) if values else None
        texts.append("–" if found is None else plus_minus(found, column.digits))
    return texts


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


def paired(one: Values, other: Values) -> list[float]:
    """Return the differences over the runs that both have."""
    return [one[match] - other[match] for match in sorted(one.keys() & other.keys())]


def as_json(found: Summary) -> dict[str, Any]:
    """Return a summary for a study's JSON file."""
    sd = None if found.sd is None else round(found.sd, 4)
    return {"mean": round(found.mean, 4), "sd": sd, "n": found.n}


def markdown(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table; the first is its head."""
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])


def verdict(found: Difference) -> str:
    """Say which is more where the interval is on one side of zero and there are enough units."""
    if found.n < ENOUGH:
        return "too few runs to tell"
    if found.low > 0:
        return "more"
    return "less" if found.high < 0 else "no difference shown"


def check_agreement(records: Iterable[RunRecord]) -> None:
    """Refuse records of deployed files that ONNX Runtime did not run like the reference.

    Raises:
        HardspikeError: one line a run.
    """
    faults = []
    for record in records:
        target = record.figures.targets.get(FAST)
        if target is None or target.status != "ok" or target.spike_agreement != 1:
            status = "no entry" if target is None else target.status
            faults.append(f"{record.arm}/{record.name}: {FAST} has {status}; the page needs ok")
    if faults:
        raise HardspikeError(*faults)
