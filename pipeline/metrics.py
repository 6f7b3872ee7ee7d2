"""Measures of a deployed network.

Axes: `B` recording, `T` time step, `N` neuron of the last layer.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Z95 = 1.959963984540054


def wilson_interval(correct: float, total: int) -> tuple[float, float]:
    """Return the 95% interval of a share, after Wilson (1927)."""
    share, z2 = correct / total, _Z95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    margin = _Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, centre - margin), min(1.0, centre + margin)


def score(predictions_B: NDArray[np.int64], labels_B: NDArray[np.int64]) -> dict[str, Any]:
    """Return accuracy, its 95% Wilson interval and the number of recordings."""
    correct, total = int((predictions_B == labels_B).sum()), len(labels_B)
    return {"accuracy": correct / total, "ci95": wilson_interval(correct, total), "n": total}


def agreement(outputs: NDArray[Any], reference: NDArray[Any]) -> float:
    """Return the share of entries (recording, step, neuron or recording alone) that are equal."""
    return float((outputs == reference).mean())


def confusion(
    predictions_B: NDArray[np.int64], labels_B: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Return how many recordings of class i were given class j, `(classes, classes)`."""
    cells = np.bincount(labels_B * classes + predictions_B, minlength=classes * classes)
    return cells.reshape(classes, classes)


def first_parting(
    one: Mapping[str, NDArray[np.uint8]], other: Mapping[str, NDArray[np.uint8]]
) -> dict[str, Any] | None:
    """Return where the spikes of two runs, `{layer: spikes_BTN}`, part first; None if nowhere.

    The first layer with a difference, the first step at which it has one in any recording, and
    the share of recordings in which that layer differs.
    """
    for layer, spikes_BTN in one.items():
        differs_BT = (spikes_BTN != other[layer]).any(axis=2)
        if differs_BT.any():
            step = int(differs_BT.any(axis=0).argmax())
            share = float(differs_BT.any(axis=1).mean())
            return {"layer": layer, "step": step, "recordings": share}
    return None
