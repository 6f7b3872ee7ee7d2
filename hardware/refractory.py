"""Refractory periods, counted step by step. Axes: `B` recording, `N` neuron."""

import numpy as np

from export.network import Array, Shape


class Refractory:
    """The neurons whose membrane a spike of the last `steps` steps holds at zero."""

    def __init__(self, steps: int, shape: Shape) -> None:
        self._steps = steps
        self._left = np.zeros(shape, np.int64)

    def held(self, membrane_BN: Array) -> Array:
        """Return the membranes of a step, zero where they are held."""
        return np.where(self._left > 0, 0, membrane_BN) if self._steps else membrane_BN

    def begins(self, fired_BN: Array) -> None:
        """End the step: count on, and from the start where a neuron fired."""
        if self._steps:
            self._left = np.where(fired_BN, self._steps, np.maximum(self._left - 1, 0))
