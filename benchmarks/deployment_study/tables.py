"""The study's tables and its headline, from the records alone. Accuracies are in percent."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.deployment_study.found import Found
from benchmarks.deployment_study.settings import ARMS, BASELINE
from benchmarks.deployment_study.withstand import Withstood
from benchmarks.records import RunRecord
from benchmarks.statistics import (
    Difference,
    Match,
    paired_difference,
    plus_minus,
    summary,
    with_interval,
)
from benchmarks.study.tables import Row, as_json, deployed, synops
from export.errors import HardspikeError

CHANCE = 10.0
"""Accuracy of a guess among ten classes, in percent."""
PARTS = {"events": "corruption of the recordings", "faults": "fault of the chip"}
Values = Mapping[Match, float]


def arms(found: Found) -> list[str]:
    """Return the arms with runs, in the settings' order."""
    return [arm for arm in ARMS if found.runs(arm)]


def gained(record: RunRecord) -> float:
    """Return the deployed accuracy above a guess, in points."""
    return deployed(record) - CHANCE


def seconds(record: RunRecord) -> float:
    """Return the seconds of training alone."""
    return record.figures.training.seconds


def teraflops(record: RunRecord) -> float | None:
    """Return the floating point operations of training, in 10¹²."""
    flops = record.figures.training.flops
    return None if flops is None else flops / 1e12


def cost_table(found: Found) -> list[Row]:
    """Return what training cost, and how much deployed accuracy it gave for it."""
    rows: list[Row] = [
        (
            *("trained by", "runs", "deployed %", "seconds", "gradient evaluations", "TFLOP"),
            *("points a second", "points a TFLOP", "points a joule", "SynOps, thousands"),
        )
    ]
    for arm in arms(found):
        runs = list(found.runs(arm).values())
        rows.append(
            (
                ARMS[arm].title,
                str(len(runs)),
                _mean(runs, deployed),
                _mean(runs, seconds),
                _mean(runs, lambda run: run.figures.training.gradient_evaluations, 0),
                _mean(runs, teraflops),
                _mean(runs, lambda run: gained(run) / seconds(run), 2),
                _mean(runs, lambda run: _per(gained(run), teraflops(run)), 1),
                _mean(runs, lambda run: _per(gained(run), run.figures.training.joules), 3),
                _mean(runs, synops, 0),
            )
        )
    return rows


def _per(gain: float, cost: float | None) -> float | None:
    return gain / cost if cost else None


def _mean(
    runs: Sequence[RunRecord], figure: Callable[[RunRecord], float | None], digits: int = 1
) -> str:
    values = [value for run in runs if (value := figure(run)) is not None]
    if len(values) < len(runs) or not runs:
        return "no counter" if runs else "–"
    return plus_minus(summary(values), digits)


def kinds(found: Found, part: str) -> list[str]:
    """Return the rows of the suite that every entry has, in the suite's order."""
    entries = [entry for arm in arms(found) for entry in found.withstood(arm).values()]
    if not entries:
        return []
    return [kind for kind in found.suite[part] if all(kind in rows_of(e, part) for e in entries)]


def rows_of(entry: Withstood, part: str) -> Mapping[str, Sequence[float]]:
    """Return kind → correct at each severity."""
    return entry.events if part == "events" else entry.faults


def accuracy(found: Found, arm: str, part: str, kind: str) -> Values:
    """Return each run's accuracy under one corruption, the mean over its severities."""
    return {
        match: 100 * _mean_of(rows_of(entry, part)[kind]) / entry.n
        for match, entry in found.withstood(arm).items()
    }


def retained(found: Found, arm: str, part: str) -> Values:
    """Return each run's mean accuracy retained, as `hardspike robustness` reports it."""
    return {
        match: 100
        * _mean_of(
            [_mean_of(rows_of(entry, part)[kind]) / entry.clean for kind in kinds(found, part)]
        )
        for match, entry in found.withstood(arm).items()
    }


def _mean_of(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def retained_table(found: Found) -> list[Row]:
    """Return the one number of every arm by part, and its difference from the baseline."""
    head = ("trained by", "clean %")
    rows: list[Row] = [
        (*head, *(f"{words}: retained %" for words in PARTS.values()), *_against(PARTS.values()))
    ]
    for arm in arms(found):
        clean = {match: 100 * e.clean / e.n for match, e in found.withstood(arm).items()}
        if not clean:
            continue
        kept = [retained(found, arm, part) for part in PARTS]
        rows.append(
            (
                ARMS[arm].title,
                plus_minus(summary(list(clean.values()))),
                *(plus_minus(summary(list(values.values()))) for values in kept),
                *(_from_baseline(found, arm, part) for part in PARTS),
            )
        )
    return rows


def _against(parts: Any) -> Iterator[str]:
    return (f"{words}: − {ARMS[BASELINE].title}" for words in parts)


def _from_baseline(found: Found, arm: str, part: str) -> str:
    if arm == BASELINE:
        return ""
    return told(difference(retained(found, arm, part), retained(found, BASELINE, part)))


def difference(one: Values, other: Values) -> Difference | None:
    """Return the paired difference over the runs both have; None below two folds."""
    common = one.keys() & other.keys()
    try:
        return paired_difference({m: one[m] for m in common}, {m: other[m] for m in common})
    except HardspikeError:
        return None


def told(found: Difference | None) -> str:
    """Return a difference with its interval, a dash where there is none."""
    return "–" if found is None else with_interval(found)


def matrix(found: Found, part: str) -> list[Row]:
    """Return accuracy by corruption and arm, the best in bold, and how sure the best is."""
    shown = arms(found)
    rows: list[Row] = [
        (PARTS[part], *(ARMS[arm].title for arm in shown), "best − second, points (95%)")
    ]
    for kind in kinds(found, part):
        order = ranking(found, part, kind)
        means = {arm: summary(list(accuracy(found, arm, part, kind).values())) for arm in shown}
        cells = [
            f"**{plus_minus(means[arm])}**" if arm == order[0] else plus_minus(means[arm])
            for arm in shown
        ]
        rows.append((in_words(kind), *cells, told(lead(found, part, kind))))
    return rows


def in_words(kind: str) -> str:
    """Return a corruption's name without underscores."""
    return kind.replace("_", " ")


def ranking(found: Found, part: str, kind: str) -> list[str]:
    """Return the arms by mean accuracy under one corruption, the best first."""

    def mean(arm: str) -> float:
        return summary(list(accuracy(found, arm, part, kind).values())).mean

    return sorted(arms(found), key=mean, reverse=True)


def lead(found: Found, part: str, kind: str) -> Difference | None:
    """Return the paired difference between the two best arms under one corruption."""
    best, second, *_ = [*ranking(found, part, kind), "", ""]
    if not second:
        return None
    return difference(accuracy(found, best, part, kind), accuracy(found, second, part, kind))


def against_baseline(found: Found, part: str) -> list[Row]:
    """Return by corruption each arm's accuracy minus the baseline's, bold where 0 is outside."""
    others = [arm for arm in arms(found) if arm != BASELINE]
    rows: list[Row] = [(PARTS[part], *(ARMS[arm].title for arm in others))]
    for kind in kinds(found, part):
        base = accuracy(found, BASELINE, part, kind)
        rows.append(
            (
                in_words(kind),
                *(_bold(difference(accuracy(found, arm, part, kind), base)) for arm in others),
            )
        )
    return rows


def _bold(found: Difference | None) -> str:
    text = told(found)
    return f"**{text}**" if found is not None and found.low * found.high > 0 else text


def headline(found: Found) -> dict[str, Any]:
    """Return the figures that sum the study up; None where something was not measured."""
    suite, latency, energy = found.suite_run, found.latency, found.energy
    kept = {
        arm: {
            part: as_json(summary([value / 100 for value in retained(found, arm, part).values()]))
            for part in PARTS
        }
        for arm in arms(found)
        if found.withstood(arm)
    }
    gains = {
        arm: as_json(summary([gained(run) / seconds(run) for run in found.runs(arm).values()]))
        for arm in arms(found)
    }
    return {
        "suite_seconds": None if suite is None else round(suite.seconds, 1),
        "ort_over_floor": None if latency is None else round(latency.over_floor["1"], 3),
        "ort_over_torch_eager": (
            None if latency is None else round(latency.ort_over_torch_eager["1"], 3)
        ),
        "mean_retained": kept,
        "energy_sanafe_joules": None if energy is None else energy.simulated_joules["total"],
        "energy_constants_joules": None if energy is None else energy.published_joules["total"],
        "points_gained_a_second": gains,
    }
