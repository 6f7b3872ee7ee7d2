"""The tables of deployed networks, what was asked against what was found, and the headline."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.admm_study.found import Found, levels, ratios
from benchmarks.admm_study.settings import (
    ARMS,
    GRIDS,
    NETWORKS,
    NMNIST,
    OVER_POINTS,
    PUBLISHED,
    RACES,
    RANK_PASSES,
    SECONDS_RATIO,
    WITHIN_POINTS,
)
from benchmarks.admm_study.trees import in_words
from benchmarks.admm_study.tuning import Choice
from benchmarks.statistics import Difference, Summary, interval, plus_minus, summary, with_interval
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

COLUMNS = (
    Column("8 bit", deployed),
    Column("4 bit", deployed, bits=4),
    Column("8 bit, half of the events", corruption("drop")),
    Column("8 bit, noise of 1 Hz", corruption("noise")),
    Column("4 bit, half of the events", corruption("drop"), bits=4),
    Column("4 bit, noise of 1 Hz", corruption("noise"), bits=4),
    Column("SynOps, 8 bit (10³)", synops, digits=0),
    Column("passes or epochs", lambda r: float(r.figures.training.epochs), digits=0),
    Column("training (s)", lambda r: r.figures.training.seconds, digits=0),
)
PAIRS = (
    ("admm", "surrogate"),
    ("admm", "equal-seconds"),
    ("admm", "random-hidden"),
    ("admm", "asked-reset"),
    ("admm", "sast"),
    ("warm-start", "sast"),
    ("readout-refit", "sast"),
)
_COMPARED: Sequence[Column] = COLUMNS[:4]


def networks() -> Iterator[tuple[str, str]]:
    """Yield recordings and architecture of every network of the study."""
    for dataset, architectures in NETWORKS.items():
        for architecture in architectures:
            yield dataset, architecture


def arms_of(records: Records, dataset: str, architecture: str) -> list[str]:
    """Return the arms with runs on a network."""
    return [arm for arm in ARMS if records.runs(dataset, f"{architecture}-{arm}", 8)]


def arm_table(records: Records, dataset: str) -> list[Row]:
    """Return one row a network and arm, mean ± standard deviation; the head comes first."""
    rows: list[Row] = [("network", "training", "n", *(column.head for column in COLUMNS))]
    for architecture in NETWORKS[dataset]:
        for arm in arms_of(records, dataset, architecture):
            name = f"{architecture}-{arm}"
            count = str(len(records.runs(dataset, name, 8)))
            texts = cells(records, dataset, name, COLUMNS)
            rows.append((architecture, ARMS[arm].title, count, *texts))
    return rows


def compared(
    records: Records,
    network: tuple[str, str],
    pair: tuple[str, str],
    figure: Figure = deployed,
    bits: int = 8,
) -> Difference | None:
    """Return the paired difference of two arms on a network; None below two folds or seeds."""
    dataset, architecture = network
    one, other = (f"{architecture}-{arm}" for arm in pair)
    return difference(records, dataset, (one, other), figure, bits)


def comparison_table(records: Records, dataset: str) -> list[Row]:
    """Return paired differences in points; the head comes first."""
    heads = ("network", "first minus second", "over", *(column.head for column in _COMPARED))
    rows: list[Row] = [heads]
    for architecture in NETWORKS[dataset]:
        for pair in PAIRS:
            found = [
                compared(records, (dataset, architecture), pair, column.figure, column.bits)
                for column in _COMPARED
            ]
            first = found[0]
            if first is not None:
                names = " − ".join(ARMS[arm].title for arm in pair)
                texts = ["–" if one is None else with_interval(one) for one in found]
                rows.append((architecture, names, f"{first.n} {first.unit}", *texts))
    return rows


def choice_table(choices: Mapping[tuple[str, str, str], Choice]) -> list[Row]:
    """Return one row a network and method; the head comes first."""
    heads = ("recordings", "network", "method", "settings tried", "chosen", "validation", "s")
    rows: list[Row] = [heads]
    for (dataset, architecture, method), choice in choices.items():
        rows.append(
            (
                dataset,
                architecture,
                ARMS[method].title,
                str(len(GRIDS[method])),
                in_words(choice.setting),
                f"{100 * choice.validation:.1f}%",
                f"{choice.seconds:.0f}",
            )
        )
    return rows


def asked_table(found: Found) -> list[Row]:
    """Return what was asked for and what was found, a row an aim; the head comes first."""
    rows: list[Row] = [("asked", "where", "found", "")]
    for network in networks():
        where = " ".join(network)
        aims = (("surrogate", -WITHIN_POINTS), ("random-hidden", OVER_POINTS))
        for arm, least in aims:
            points = compared(found.records, network, ("admm", arm))
            if points is not None:
                text = f"ADMM − {ARMS[arm].title} at least {least:+.0f} points".replace("-", "−")
                told = _told(points.low - least, points.high - least, points.mean - least)
                rows.append((text, where, with_interval(points), told))
    for dataset, architecture in RACES:
        values = ratios(found.laps.get((dataset, architecture), ()))
        if len(values) > 1:
            text = f"ADMM's seconds at most {SECONDS_RATIO:g} × the surrogate's"
            low, high = interval(summary(values))
            mean = summary(values).mean
            told = _told(SECONDS_RATIO - high, SECONDS_RATIO - low, SECONDS_RATIO - mean, 2)
            said = f"{mean:.2f} (95% {low:.2f} to {high:.2f})".replace("-", "−")
            rows.append((text, f"{dataset} {architecture}", said, told))
    return rows


def _told(low: float, high: float, mean: float, digits: int = 1) -> str:
    """Say whether an aim is met, by the interval of what is left over (below zero: what lacks)."""
    if low >= 0:
        return "met"
    if high < 0:
        return f"missed by {-mean:.{digits}f}"
    side = "met" if mean >= 0 else f"missed by {-mean:.{digits}f}"
    return f"{side} by the mean, the interval has both"


def headline(found: Found) -> dict[str, Any]:
    """Return the study's figures in short, mean, standard deviation and n; what is not run lacks.

    Points are paired over folds and seeds at 8 bits; the seconds' ratio is ADMM's over the
    surrogate's until the lower of their best validation accuracies.
    """
    figures: dict[str, Any] = {
        "admm_minus_surrogate_points": _points(found.records, "surrogate"),
        "admm_minus_random_hidden_points": _points(found.records, "random-hidden"),
    }
    for race in RACES[:1]:
        values = ratios(found.laps.get(race, ()))
        if values:
            figures["seconds_ratio"] = as_json(summary(values))
    differences = {
        f"passes_{passes}": [p.max_difference for p in found.pairs if p.passes == passes]
        for passes in RANK_PASSES
    }
    figures["ranks_max_weight_difference"] = {
        name: _significant(summary(values)) for name, values in differences.items() if values
    }
    reached = {
        architecture: [100 * one.test["hard"].accuracy for one in found.iterations[architecture]]
        for architecture in PUBLISHED
        if found.iterations.get(architecture)
    }
    figures["published_hard_accuracy"] = {
        architecture: as_json(summary(values)) for architecture, values in reached.items()
    }
    return figures


def _points(records: Records, other: str) -> dict[str, Any]:
    points = {}
    for dataset, architecture in networks():
        one, two = (
            records.values(dataset, f"{architecture}-{arm}", deployed) for arm in ("admm", other)
        )
        values = paired(one, two)
        if values:
            points[f"{dataset}-{architecture}"] = as_json(summary(values))
    return points


def _significant(found: Summary) -> dict[str, Any]:
    """Return a summary with three digits of each value, however small they are."""
    sd = None if found.sd is None else float(f"{found.sd:.3g}")
    return {"mean": float(f"{found.mean:.3g}"), "sd": sd, "n": found.n}


def race_table(found: Found) -> list[Row]:
    """Return seconds to some levels of validation accuracy; the head comes first."""
    heads = ("network", "seed", "level", "ADMM (s)", "surrogate (s)", "ratio")
    rows: list[Row] = [heads]
    for (dataset, architecture), laps in found.laps.items():
        for seed, level, admm, surrogate in levels(laps):
            cell = f"{admm / surrogate:.2f}" if admm and surrogate else "–"
            seconds = ["never" if one is None else f"{one:.1f}" for one in (admm, surrogate)]
            network = f"{dataset} {architecture}"
            rows.append((network, str(seed), f"{100 * level:.1f}%", *seconds, cell))
    return rows


def published_table(found: Found) -> list[Row]:
    """Return what the published iteration reached beside ours; the head comes first."""
    heads = (
        *("network", "folds", "objective, first and last", "training, hard", "test, soft reset"),
        *("test, deployed reset", "spikes agreed", "of those that fire", "ADMM, ours", "seconds"),
    )
    rows: list[Row] = [heads]
    for architecture, iterations in found.iterations.items():
        if not iterations:
            continue
        ours = found.records.values(NMNIST, f"{architecture}-admm", deployed)
        percent = [
            [100 * one.curves["training_hard"][-1] for one in iterations],
            [100 * one.test["soft"].accuracy for one in iterations],
            [100 * one.test["hard"].accuracy for one in iterations],
            [100 * one.of_layers("agreement_true")[-1] for one in iterations],
            [100 * one.of_layers("overlap_true")[-1] for one in iterations],
        ]
        first, last = (
            summary([one.curves["objective"][place] for one in iterations]).mean
            for place in (0, -1)
        )
        rows.append(
            (
                architecture,
                str(len(iterations)),
                f"{first:.1f} → {last:.2f}",
                *(plus_minus(summary(values)) for values in percent),
                plus_minus(summary(list(ours.values()))) if ours else "–",
                plus_minus(summary([one.seconds for one in iterations]), 0),
            )
        )
    return rows
