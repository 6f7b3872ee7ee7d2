"""Timing calls in turn, and what is said of the times.

A machine's speed drifts with its load and its clock. Ways that are compared are therefore called in
turn, one call each, so that a drift meets them all alike.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
Call = Callable[[int], object]
"""Takes the number of a recording. What is returned is not looked at."""
Progress = Callable[[int, int], None]
PERCENTILES = (50, 95, 99)
BINS = 40
_SHOWN = 99.5


def in_turn(
    ways: Mapping[str, Call], items: int, repeats: int, warm_up: int, progress: Progress
) -> dict[str, Times]:
    """Return the milliseconds of `repeats` calls of each way, `(repeats,)`, call by call in turn.

    Call i takes item i modulo `items`; `warm_up` rounds before them are not kept.
    """
    times = {name: np.empty(repeats) for name in ways}
    for index in range(-warm_up, repeats):
        for name, call in ways.items():
            started = time.perf_counter_ns()
            call(index % items)
            elapsed = time.perf_counter_ns() - started
            if index >= 0:
                times[name][index] = elapsed / 1e6
        progress(max(0, index + 1), repeats)
    return times


def summary(times_ms: Times) -> dict[str, float | int]:
    """Return p50, p95 and p99 (interpolated linearly between the two nearest), min and mean."""
    found = np.percentile(times_ms, PERCENTILES)
    return {
        **{f"p{share}_ms": float(value) for share, value in zip(PERCENTILES, found, strict=True)},
        "min_ms": float(times_ms.min()),
        "mean_ms": float(times_ms.mean()),
        "calls": len(times_ms),
    }


def histogram(times_ms: Times) -> dict[str, Any]:
    """Return counts over equal bins from the least time to the 99.5th percentile.

    The longest half percent, which would stretch the axis, is counted in `above`.
    """
    last = float(np.percentile(times_ms, _SHOWN))
    shown = times_ms[times_ms <= last]
    counts, edges = np.histogram(shown, BINS, (float(times_ms.min()), last))
    return {
        "edges_ms": edges.tolist(),
        "counts": counts.tolist(),
        "above": len(times_ms) - len(shown),
    }


def ratios(times_ms: Times, floor_ms: Times) -> dict[str, float]:
    """Return how many times the floor something takes: of medians, of minima, and call by call.

    `paired` is the median over calls of the time over that of the floor's call beside it.
    """
    return {
        "p50": float(np.median(times_ms) / np.median(floor_ms)),
        "min": float(times_ms.min() / floor_ms.min()),
        "paired": float(np.median(times_ms / floor_ms)),
    }
