"""Why two runs of one network differ: the smallest set of known departures that makes them equal.

Departures are tried alone, in pairs and so on, and a set counts only where every spike is equal
with it; so each of its members is needed. Where no set gets there, each neuron layer is run on the
spikes that the other run had: what then still differs is one decision at a time, and is rounding
where the membrane is within `ROUNDING` of the threshold.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.interop_study.reading import Evaluation, Reading, evaluate, fires
from benchmarks.interop_study.settings import Change
from export.network import Array

ROUNDING = 1e-5
"""Of the threshold: how close a membrane in float64 is whose decision float32 may turn."""
MOST_CHANGES = 5
_FIRST_STEPS = 8
"""Sets of departures that fail on these are not run further."""


@dataclass(frozen=True)
class Difference:
    """Places compared and places that differ; `first` is the earliest, as `node, step`."""

    places: int
    differing: int
    first: str = ""


@dataclass(frozen=True)
class Explanation:
    """Departures with which all is equal but for `rounded` decisions at most `margin` away."""

    changes: tuple[Change, ...]
    rounded: int = 0
    margin: float = 0.0


def difference(graph: Any, ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> Difference:
    """Compare outputs by node, (B, T, ...): spikes must be equal, membranes close in float32."""
    places, differing, first = 0, 0, ("", np.inf)
    for name, wanted in theirs.items():
        found = ours[name][:, : wanted.shape[1]].reshape(wanted.shape)
        apart = _apart(fires(graph.nodes[name]), found, wanted)
        places, differing = places + wanted.size, differing + int(apart.sum())
        steps = np.nonzero(apart)[1]
        if steps.size and steps.min() < first[1]:
            first = (name, float(steps.min()))
    return Difference(places, differing, f"{first[0]}, step {first[1]:g}" if differing else "")


def _apart(spikes: bool, found: Array, wanted: Array) -> Array:
    if spikes:
        return np.asarray(found != wanted)
    scale = max(1.0, float(np.abs(wanted).max()))
    return ~np.isclose(found, wanted, rtol=1e-4, atol=ROUNDING * scale)


def explain(
    graph: Any,
    inputs_BTN: Array,
    theirs: Mapping[str, Array],
    told: Reading,
    candidates: Sequence[Change],
) -> Explanation | None:
    """Return the smallest set of departures from `told` that gives `theirs`, or None."""
    for changes in _sets(candidates):
        reading = _changed(told, changes)
        if _equal(graph, inputs_BTN, theirs, reading):
            return Explanation(changes)
    return _rounded(graph, inputs_BTN, theirs, told, candidates)


def _sets(candidates: Sequence[Change]) -> Iterator[tuple[Change, ...]]:
    """Yield sets of departures, small ones first; none sets a field twice."""
    for size in range(min(MOST_CHANGES, len(candidates)) + 1):
        for changes in itertools.combinations(candidates, size):
            fields = [field for change in changes for field in change.fields]
            if len(set(fields)) == len(fields):
                yield changes


def _changed(told: Reading, changes: Sequence[Change]) -> Reading:
    for change in changes:
        told = change.applied(told)
    return told


def _equal(graph: Any, inputs: Array, theirs: Mapping[str, Array], reading: Reading) -> bool:
    for steps in (_FIRST_STEPS, inputs.shape[1]):
        part = {name: values[:, :steps] for name, values in theirs.items()}
        found = evaluate(graph, inputs[:, :steps], reading)
        if difference(graph, found.outputs, part).differing:
            return False
    return True


def _rounded(
    graph: Any,
    inputs: Array,
    theirs: Mapping[str, Array],
    told: Reading,
    candidates: Sequence[Change],
) -> Explanation | None:
    """Return the set with the fewest decisions left, all of them at the threshold, or None."""
    found: list[Explanation] = []
    given = {name: values for name, values in theirs.items() if fires(graph.nodes[name])}
    for changes in _sets(candidates):
        reading = _changed(told, changes)
        if _near(graph, inputs[:, :_FIRST_STEPS], given, theirs, reading) is None:
            continue
        run = _near(graph, inputs, given, theirs, reading)
        if run is not None:
            doubts = run.doubts.values()
            count, margin = sum(one.count for one in doubts), max(one.margin for one in doubts)
            found.append(Explanation(changes, count, margin))
    return min(found, key=lambda one: (one.rounded, len(one.changes)), default=None)


def _near(
    graph: Any,
    inputs: Array,
    given: Mapping[str, Array],
    theirs: Mapping[str, Array],
    reading: Reading,
) -> Evaluation | None:
    """Return the run on given spikes where all that differs is at a threshold, else None."""
    steps = inputs.shape[1]
    run = evaluate(graph, inputs, reading, {name: one[:, :steps] for name, one in given.items()})
    silent = {name: one[:, :steps] for name, one in theirs.items() if name not in given}
    if difference(graph, run.outputs, silent).differing:
        return None
    return run if all(one.margin <= ROUNDING for one in run.doubts.values()) else None
