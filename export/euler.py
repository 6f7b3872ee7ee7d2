"""Time constants whose forward-Euler step is the network's own step.

NIR's neurons are continuous, τ_nir·v̇ = (v_leak − v) + R·I. One step of length dt with v_leak = 0 is

    v ← v·(1 − α) + (α·R)·I,      α = dt / τ_nir

and equals v·τ + I where 1 − α = τ and α·R = 1. In exact arithmetic τ_nir = dt/(1 − τ) and
R = 1/(1 − τ); in float64 the neighbours of these are searched for a pair whose rounded operations
meet both equations.
"""

import itertools
import math
from collections.abc import Iterator

_NEIGHBOURS = 64


def time_constant(decay: float, dt: float) -> tuple[float, float]:
    """Return (τ_nir in seconds, R) for a decay τ below 1 and a step of `dt` seconds.

    Both equations hold as float64 operations for every decay from 0.5 up but a few in a hundred
    odd ones (τ = 0.9 or 0.95 at 10 ms are exact); where no float64 meets them, as for most decays
    below 0.5, the pair with the least error is returned: both are met to 2⁻⁵².
    """
    best = (math.inf, dt / (1 - decay), 1 / (1 - decay))
    for constant in neighbours(dt / (1 - decay)):
        alpha = dt / constant
        resistance = inverse(alpha)
        error = abs((1 - alpha) - decay) + abs(alpha * resistance - 1)
        if error == 0:
            return constant, resistance
        best = min(best, (error, constant, resistance))
    return best[1], best[2]


def inverse(factor: float) -> float:
    """Return R with factor · R = 1 as a float64 operation, or the nearest there is."""
    return min(
        itertools.islice(neighbours(1 / factor), 7), key=lambda value: abs(factor * value - 1)
    )


def neighbours(value: float) -> Iterator[float]:
    """Yield `value`, then the floats around it, nearest first."""
    yield value
    below = above = value
    for _ in range(_NEIGHBOURS):
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
        yield below
        yield above
