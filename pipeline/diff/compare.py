"""Where the spikes of two sides part: by layer and step, first of all, and by how much.

Axes: `L` pair of layers, `B` recording, `T` time step, `N` neuron.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.diff.pairs import Pair
from pipeline.diff.sides import U8, Side

Bools = NDArray[np.bool_]
_LAGS = 8
_LAG_LEFT, _LAG_SHARE, _LAG_FEWEST = 0.25, 0.25, 10
"""A lag counts where it leaves at most a quarter of the differing spikes, where these are a quarter
of all or more, and where there are ten spikes and more to see it by."""


@dataclass(frozen=True, eq=False)
class Parting:
    """The earliest step at which any spike differs, and in it the lowest layer: `pair`, its place.

    `recording` and `neuron` are the first there; `spikes` (recording, neuron) differ at that step
    in that layer, in `recordings` recordings.
    """

    pair: int
    step: int
    recording: int
    neuron: int
    spikes: int
    recordings: int


@dataclass(frozen=True)
class Lag:
    """B's spikes of a layer come `steps` steps after A's; `left` is the share that still differs.

    The share is of the spikes that differ as they stand; 1 where no shift explains anything.
    """

    steps: int
    left: float


def spikes_of(side: Side, pair: Pair, is_a: bool) -> U8:
    """Return a side's spikes in a pair, `(B, T, N)`."""
    return side.spikes_BTN[pair.a if is_a else pair.b]


def differing(a: Side, b: Side, pair: Pair) -> Bools:
    """Return where the spikes of a pair differ, `(B, T, N)`."""
    return np.asarray(spikes_of(a, pair, True) != spikes_of(b, pair, False))


def shares(a: Side, b: Side, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the share of (recording, neuron) whose spikes differ, `(L, T)`."""
    return np.stack([differing(a, b, pair).mean(axis=(0, 2)) for pair in pairs])


def find_parting(a: Side, b: Side, pairs: Sequence[Pair]) -> Parting | None:
    """Return where the spikes part first, in the order of cause; None if they never do."""
    where = [differing(a, b, pair) for pair in pairs]
    steps_LT = np.stack([differs.any(axis=(0, 2)) for differs in where])
    if not steps_LT.any():
        return None
    step = int(steps_LT.any(axis=0).argmax())
    layer = int(steps_LT[:, step].argmax())
    cells_BN = where[layer][:, step]
    recording, neuron = map(int, np.argwhere(cells_BN)[0])
    total, recordings = int(cells_BN.sum()), int(cells_BN.any(axis=1).sum())
    return Parting(layer, step, recording, neuron, total, recordings)


def inputs_agree(a: Side, b: Side, pair: Pair) -> Bools:
    """Return, `(B, T)`, whether both layers of a pair have read the same up to and at a step.

    Inputs of other sizes, as where the layers below are no pair, count as not the same.
    """
    one, other = a.inputs(pair.a), b.inputs(pair.b)
    if one.shape != other.shape:
        return np.zeros(one.shape[:2], np.bool_)
    return np.logical_and.accumulate((one == other).all(axis=2), axis=1)


def first_differences(a: Side, b: Side, pair: Pair) -> NDArray[np.int64]:
    """Return (recording, step, neuron) of every neuron's first differing spike, `(K, 3)`.

    Only those whose layer had read the same in that recording until then: the others may differ for
    what came before them.
    """
    differs_BTN = differing(a, b, pair)
    first_BN = differs_BTN.argmax(axis=1)
    found = np.argwhere(differs_BTN.any(axis=1))
    steps = first_BN[found[:, 0], found[:, 1]]
    same = inputs_agree(a, b, pair)[found[:, 0], steps]
    return np.stack([found[same, 0], steps[same], found[same, 1]], axis=1)


def find_lag(a: Side, b: Side, pair: Pair) -> Lag | None:
    """Return by how many steps B's spikes come late (below zero: early); None if they are equal.

    Under a lag of k, B is silent for k steps and then fires what A fired k steps before; what A
    fires in the last k steps is not seen.
    """
    one, other = spikes_of(a, pair, True), spikes_of(b, pair, False)
    plain = int((one != other).sum())
    if plain == 0:
        return None
    furthest = min(_LAGS, one.shape[1] - 1)
    scores = {k: _left(one, other, k) for k in range(-furthest, furthest + 1)}
    best = min(scores, key=lambda k: (scores[k], abs(k)))
    either_way = best != 0 and scores[-best] == scores[best]
    fired = int(one.sum()) + int(other.sum())
    seen = fired >= _LAG_FEWEST and plain >= _LAG_SHARE * fired and one.any() and other.any()
    if scores[best] > _LAG_LEFT * plain or either_way or not seen:
        return Lag(0, 1.0)
    return Lag(best, scores[best] / plain)


def _left(one: U8, other: U8, lag: int) -> int:
    """Count the spikes that still differ when `other` is taken to be `one`, `lag` steps later."""
    if lag < 0:
        return _left(other, one, -lag)
    steps = one.shape[1]
    kept = (one[:, : steps - lag] != other[:, lag:]).sum()
    return int(kept) + int(other[:, :lag].sum())
