"""What the smooth neuron can do at most: suprema of its slopes and curvatures.

With z = β(u − ϑ) and a = βϑ, the part of the membrane that a step keeps is

    φ(u) = u · (1 − σ_β(u − ϑ)),     φ′(u) = 1 − σ − u σ′,     φ″(u) = −2σ′ − u σ″

φ′ depends on z and a alone. It tends to 1 on the left and to 0 on the right, and turns at most
twice, so that its largest size over an interval stands at an end or at a turning point:

    sigmoid        (z + a)·tanh(z/2) = 2, one root above 0 and one below −a
    arctangent     z = 2/(πA) with A = πa/2; there φ′ = (atan A − A)/π
    fast sigmoid   z = 0, where φ′ = (1 − a)/2

φ itself rises to one peak and falls (the fast sigmoid with a ≤ 1 only rises, to 1/(2β)).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pipeline.surrogate import SurrogateName, smooth_slope, smooth_spike

_HALVINGS = 200


@dataclass(frozen=True)
class Steepest:
    """Of a surrogate at β = 1: sup |s′|, sup |s″| and sup |z s″|."""

    slope: float
    curvature: float
    curvature_by_distance: float


STEEPEST: dict[SurrogateName, Steepest] = {
    # s″ is largest at s = ½ ± 1/√12; |z s″| at z = 2.019, where it is 0.15991, rounded up here.
    "sigmoid": Steepest(1 / 4, 1 / (6 * math.sqrt(3)), 0.16),
    # With y = πz/2: |s″| = (π/2) y/(1+y²)², at y = 1/√3;  |z s″| = y²/(1+y²)², at y = 1.
    "arctangent": Steepest(1 / 2, 9 * math.pi / (32 * math.sqrt(3)), 1 / 4),
    # |s″| = 1/(1+|z|)³ jumps at 0 but is bounded;  |z|/(1+|z|)³ is largest at ½.
    "fast_sigmoid": Steepest(1 / 2, 1.0, 4 / 27),
}


@dataclass(frozen=True)
class SmoothNeuron:
    """One layer's smooth neuron; a threshold of infinity makes the integrator, φ(u) = u."""

    surrogate: SurrogateName
    slope: float
    threshold: float
    decay: float

    @property
    def fires(self) -> bool:
        """Whether the neuron has a threshold at all."""
        return math.isfinite(self.threshold)

    def spikes(self, u: Tensor) -> Tensor:
        """Return σ_β(u − ϑ)."""
        return smooth_spike(self.surrogate, u - self.threshold, self.slope, torch.empty_like(u))

    def spike_slope(self, u: Tensor) -> Tensor:
        """Return σ_β′(u − ϑ)."""
        return smooth_slope(self.surrogate, u - self.threshold, self.spikes(u), self.slope)

    def kept(self, u: Tensor) -> Tensor:
        """Return φ(u)."""
        return u * (1 - self.spikes(u)) if self.fires else u

    def kept_slope(self, u: Tensor) -> Tensor:
        """Return φ′(u)."""
        if not self.fires:
            return torch.ones_like(u)
        return 1 - self.spikes(u) - u * self.spike_slope(u)

    @cached_property
    def peak(self) -> float:
        """The membrane at which φ is largest; infinity where φ only rises."""
        a = self.slope * self.threshold
        if not self.fires or (self.surrogate == "fast_sigmoid" and a <= 1):
            return math.inf
        match self.surrogate:
            case "sigmoid":
                # Below 0 the left side is under a·e^z, which is 1/e at −1 − ln a.
                below = max(-a, -1 - math.log(max(a, 1)))
                z = _root(lambda z: (z + a) / (1 + math.exp(-z)) - 1, below, 2.0)
            case "arctangent":
                A = math.pi * a / 2
                y = _root(lambda y: (y + A) / (1 + y * y) + math.atan(y) - math.pi / 2, -A, 1 / A)
                z = 2 * y / math.pi
            case "fast_sigmoid":
                z = 1 - math.sqrt((1 + a) / 2)
            case _:
                raise ValueError(f"unknown surrogate {self.surrogate!r}")
        return self.threshold + z / self.slope

    @cached_property
    def turning_points(self) -> tuple[float, ...]:
        """The membranes at which φ′ turns."""
        a = self.slope * self.threshold
        match self.surrogate:
            case _ if not self.fires:
                return ()
            case "sigmoid":
                above = _root(lambda z: (z + a) * math.tanh(z / 2) - 2, 0.0, 4.0)
                below = -a - _root(lambda m: m * math.tanh((a + m) / 2) - 2, 0.0, 4.0)
                zs: tuple[float, ...] = (below, above)
            case "arctangent":
                zs = (4 / (math.pi**2 * a),)
            case "fast_sigmoid":
                zs = (0.0,)
            case _:
                raise ValueError(f"unknown surrogate {self.surrogate!r}")
        return tuple(self.threshold + z / self.slope for z in zs)

    def kept_range(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return the least and the largest φ(u) over low ≤ u ≤ high, element by element."""
        if not self.fires:
            return low, high
        top = torch.full_like(low, self.peak).clamp(low, high)
        return torch.minimum(self.kept(low), self.kept(high)), self.kept(top)

    def largest_kept_slope(self, low: float = -math.inf, high: float = math.inf) -> float:
        """Return sup |φ′(u)| over low ≤ u ≤ high."""
        if not self.fires:
            return 1.0
        found = [1.0] if math.isinf(low) else []
        places = [u for u in self.turning_points if low < u < high]
        places += [end for end in (low, high) if math.isfinite(end)]
        slopes: list[float] = (
            self.kept_slope(torch.tensor(places, dtype=torch.float64)).abs().tolist()
        )
        return max(found + slopes)

    def largest_spike_slope(self, low: float = -math.inf, high: float = math.inf) -> float:
        """Return sup σ_β′(u − ϑ) over low ≤ u ≤ high; σ′ falls on both sides of the threshold."""
        steepest = torch.tensor([min(max(self.threshold, low), high)], dtype=torch.float64)
        return float(self.spike_slope(steepest))

    @property
    def spike_curvature(self) -> float:
        """sup |σ_β″| = β² sup |s″|."""
        return self.slope**2 * STEEPEST[self.surrogate].curvature

    @property
    def kept_curvature(self) -> float:
        """A bound on sup |φ″|: |2σ′ + (u−ϑ)σ″ + ϑσ″| ≤ β(2 sup s′ + sup|z s″| + a sup|s″|)."""
        if not self.fires:
            return 0.0
        unit, a = STEEPEST[self.surrogate], self.slope * self.threshold
        return self.slope * (2 * unit.slope + unit.curvature_by_distance + a * unit.curvature)


def _root(function: Callable[[float], float], below: float, above: float) -> float:
    """Return the root of a function that is negative at `below` and rises to `above`."""
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if function(middle) < 0:
            below = middle
        else:
            above = middle
    return (below + above) / 2
