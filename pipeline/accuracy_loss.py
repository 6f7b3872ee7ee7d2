"""Accuracy lost between two networks, with its 95% interval.

Axes: `B` recording. A loss is a difference of accuracies, the first network's less the second's.
"""

import math

import numpy as np
from numpy.typing import NDArray

_Z95 = 1.959963984540054
Interval = tuple[float, float]


def changed(
    before_B: NDArray[np.int64], after_B: NDArray[np.int64], labels_B: NDArray[np.int64]
) -> dict[str, int]:
    """Return how many recordings the first alone has right (`lost`), and the second (`gained`)."""
    before, after = before_B == labels_B, after_B == labels_B
    return {"lost": int((before & ~after).sum()), "gained": int((after & ~before).sum())}


def paired_interval(lost: int, gained: int, total: int) -> Interval:
    """Return the 95% interval of the loss on the same recordings.

    The adjusted Wald interval of Bonett and Price (2012), which holds its level for few recordings
    and few changes: with p = (lost + 1)/(N + 2) and q = (gained + 1)/(N + 2),
    p − q ± z·√((p + q − (p − q)²)/(N + 2)).
    """
    p, q = (lost + 1) / (total + 2), (gained + 1) / (total + 2)
    margin = _Z95 * math.sqrt((p + q - (p - q) ** 2) / (total + 2))
    return max(-1.0, p - q - margin), min(1.0, p - q + margin)


def unpaired_interval(
    before: float, before95: Interval, after: float, after95: Interval
) -> Interval:
    """Return the 95% interval of the loss from two accuracies and their Wilson intervals.

    Newcombe's (1998, method 10) for independent samples; for two networks that err on much the
    same recordings it is too wide.
    """
    loss = before - after
    low = math.hypot(before - before95[0], after95[1] - after)
    high = math.hypot(before95[1] - before, after - after95[0])
    return loss - low, loss + high
