"""Paired differences between arms: two tables and what they say in words.

A sentence says "more" or "less" only where the 95% interval of the paired difference is on one
side of zero; otherwise it says that no difference is shown. Where the epochs of two arms were
picked by different accuracies, the sentence says so.
"""

from benchmarks.sast_study.plan import ARMS, NMNIST, SACCADE
from benchmarks.sast_study.tables import lost, pick
from benchmarks.statistics import Difference, with_interval
from benchmarks.study.tables import (
    Figure,
    Records,
    Row,
    corruption,
    deployed,
    difference,
    synops,
    verdict,
)

Pair = tuple[str, str]

COMPARISONS: tuple[Pair, ...] = (
    ("sast", "plain"),
    ("sast-hard-pick", "plain-hard-pick"),
    ("sast-long", "plain-long"),
    ("sast-hard-pick", "sast"),
    ("sast-long", "sast-hard-pick"),
    ("sast", "compute-matched"),
    ("sast", "random"),
    ("sast", "plain-calibrated"),
    ("sast-calibrated", "sast"),
    ("plain-steep", "plain-hard-pick"),
    ("plain-steep", "sast-hard-pick"),
    ("sast-steep", "plain-steep"),
    ("sast-steep", "sast-hard-pick"),
    ("slope", "plain-hard-pick"),
    ("slope", "sast-hard-pick"),
    ("slope", "plain-steep"),
    ("plain-steep", "sast-long"),
    ("slope-matched", "sast-long"),
    ("slope-sast", "slope"),
    ("slope-sast", "slope-matched"),
    ("hard-forward", "slope"),
    ("hard-forward", "plain-steep"),
    ("theory", "theory-plain"),
    ("theory", "sast"),
    ("plain-pruned", "plain-hard-pick"),
    ("low-bit", "slope-sast"),
    ("recipe", "slope-sast"),
    ("recipe", "recipe-without-sast"),
    ("recipe", "recipe-dense"),
    ("recipe-dense", "recipe-smooth"),
    ("recipe-hard", "recipe"),
    ("recipe-hard", "recipe-hard-without-sast"),
    ("recipe-hard", "recipe-hard-matched"),
    ("recipe-hard-matched", "recipe-hard-without-sast"),
    ("recipe-hard", "recipe-hard-dense"),
    ("recipe-hard-dense", "recipe-dense"),
    ("recipe-hard", "hard-forward"),
    ("recipe-hard", "plain-pruned"),
)
"""Arms held against each other: the first minus the second."""

ACCURACY: tuple[tuple[str, Figure, int, int], ...] = (
    ("8 bit", deployed, 8, 1),
    ("4 bit", deployed, 4, 1),
    ("SynOps (10³)", synops, 8, 0),
)
"""Head, figure, bits and digits of the columns of a table."""
ROBUSTNESS: tuple[tuple[str, Figure, int, int], ...] = (
    ("lost at the swap", lost, 8, 1),
    ("8 bit, half of the events", corruption("drop"), 8, 1),
    ("8 bit, noise of 1 Hz", corruption("noise"), 8, 1),
)


def comparison_table(
    records: Records, dataset: str, columns: tuple[tuple[str, Figure, int, int], ...] = ACCURACY
) -> list[Row]:
    """Return the paired differences, points of accuracy or thousands; the head comes first.

    A figure that an arm lacks has a dash.
    """
    heads = tuple(head for head, *_ in columns)
    rows: list[Row] = [("first minus second", "epoch by", "over", *heads)]
    for pair in COMPARISONS:
        found = [difference(records, dataset, pair, value, bits) for _, value, bits, _ in columns]
        known = [one for one in found if one is not None]
        if known:
            texts = (
                "–" if one is None else with_interval(one, digits)
                for one, (*_, digits) in zip(found, columns, strict=True)
            )
            names = " − ".join(ARMS[arm][0] for arm in pair)
            by = " − ".join(dict.fromkeys(pick(records, dataset, arm) for arm in pair))
            rows.append((names, by, f"{known[0].n} {known[0].unit}", *texts))
    return rows


def compared(records: Records, pair: Pair) -> str:
    """Return a sentence on 8- and 4-bit deployed accuracy, on every set of recordings there is."""
    said = []
    for dataset in (NMNIST, SACCADE):
        found = {bits: difference(records, dataset, pair, deployed, bits) for bits in (8, 4)}
        words = [f"{bits} bits {told(value)}" for bits, value in found.items() if value is not None]
        if words:
            said.append(f"{dataset}: {'; '.join(words)}")
    one, other = (ARMS[arm][0] for arm in pair)
    if not said:
        return ""
    return f"Deployed, {one} minus {other}{_unlike(records, pair)}. {'. '.join(said)}."


def _unlike(records: Records, pair: Pair) -> str:
    """Say how the epochs of two arms were picked, where it is not alike."""
    one, other = (pick(records, NMNIST, arm) for arm in pair)
    return "" if one == other else f" (epoch: {one} against {other})"


def told(found: Difference, digits: int = 1) -> str:
    """Return the verdict on a difference, and its figures."""
    return f"{verdict(found)}, {with_interval(found, digits)}"


def on(records: Records, pair: Pair, figure: Figure, bits: int = 8, digits: int = 1) -> str:
    """Return the verdict on a difference on N-MNIST-1k, `not run yet` without runs."""
    found = difference(records, NMNIST, pair, figure, bits)
    return "not run yet" if found is None else told(found, digits)
