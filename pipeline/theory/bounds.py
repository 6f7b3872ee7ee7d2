"""Bounds that hold for every smooth network and any T: input-Lipschitz, gradient, smoothness.

`T` time step. Derivations, with the numbers used here, are in docs/sast-theory.md. Scalars are
Python floats; what does not fit a float64 is infinity, which is a bound too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from export.errors import HardspikeError
from export.network import Readout
from pipeline.theory.norms import largest_row_sum, patches_per_input, spectral_bound
from pipeline.theory.states import StateBounds, TheoryLayer

Norm = Literal["l2", "linf"]
SOFTMAX_GRADIENT = math.sqrt(2)
"""‖softmax(y) − e_label‖₂ is at most √2."""
SOFTMAX_CURVATURE = 0.5
"""‖diag(p) − p pᵀ‖₂ is at most ½ (a row's Σ|·| is 2p(1 − p))."""


@dataclass(frozen=True)
class Gains:
    """What one layer multiplies a change by: ‖W‖, κ = τ·sup|φ′| a step, and sup σ′ (1 unfired)."""

    weight: float
    contraction: float
    spike_slope: float


def gains(layer: TheoryLayer, norm: Norm, reach: StateBounds | None = None) -> Gains:
    """Return a layer's gains over the membranes within `reach`, or over all of them."""
    low, high = (-math.inf, math.inf) if reach is None else (reach.low, reach.high)
    weight = (spectral_bound if norm == "l2" else largest_row_sum)(layer.operator)
    neuron = layer.neuron
    slope = neuron.largest_spike_slope(low, high) if neuron.fires else 1.0
    return Gains(weight, neuron.decay * neuron.largest_kept_slope(low, high), slope)


def lipschitz_by_step(layers: Sequence[Gains], steps: int, readout: Readout) -> list[float]:
    """Return r, `(T,)`, with ‖y(x) − y(x′)‖ ≤ Σ_t r[t]·‖x[t] − x′[t]‖ (theorem 2).

    A change of a layer's input at step k reaches its spikes at t ≥ k multiplied by at most
    S·κ^(t−k)·‖W‖; the layers compose, and the readout sums the steps (`count`) or takes the last.
    """
    per_step = [1.0] * steps if readout == "count" else [0.0] * (steps - 1) + [1.0]
    for layer in reversed(layers):
        later, reached = 0.0, []
        for value in reversed(per_step):
            later = later * layer.contraction + value * layer.spike_slope
            reached.append(later * layer.weight)
        per_step = reached[::-1]
    return per_step


def lipschitz(per_step: Sequence[float], norm: Norm) -> float:
    """Return the Lipschitz constant over all steps together.

    ℓ2 over time and inputs to ℓ2 over classes: ‖r‖₂.  ℓ∞ to ℓ∞: Σ r.
    """
    return math.hypot(*per_step) if norm == "l2" else math.fsum(per_step)


@dataclass(frozen=True)
class Curvature:
    """Bounds on the loss as a function of the parameters: ‖∇L‖₂ and ‖∇²L‖₂ (theorem 3)."""

    gradient: float
    smoothness: float


def curvature_bound(
    layers: Sequence[TheoryLayer], input_norms_T: Sequence[float], readout: Readout, radius: float
) -> Curvature:
    """Bound gradient and Hessian of the mean cross-entropy over ‖w − w₀‖₂ ≤ `radius`.

    `input_norms_T` is the largest ‖x[t]‖₂ of any recording in the mean, a step each. For a
    direction of length 1 in parameter space, `first` bounds ‖u̇[t]‖₂ (then ‖ṡ[t]‖₂) and `second`
    ‖ü[t]‖₂ (then ‖s̈[t]‖₂), layer after layer. Loose: every layer's share of the direction is
    taken as 1, every supremum over all membranes.
    """
    steps = len(input_norms_T)
    inputs, first, second = list(input_norms_T), [0.0] * steps, [0.0] * steps
    for layer in layers:
        first, second = _layer_tangents(layer, inputs, first, second, radius)
        inputs = [math.sqrt(math.prod(layer.operator.output_shape))] * steps
    if readout == "count":
        along, twice = sum(first), sum(second)
    else:
        along, twice = first[-1], second[-1]
    return Curvature(
        SOFTMAX_GRADIENT * along, SOFTMAX_CURVATURE * along * along + SOFTMAX_GRADIENT * twice
    )


def _layer_tangents(
    layer: TheoryLayer,
    inputs: Sequence[float],
    first_below: Sequence[float],
    second_below: Sequence[float],
    radius: float,
) -> tuple[list[float], list[float]]:
    """Return bounds on the first and second change of a layer's output, a step each."""
    neuron, decay = layer.neuron, layer.neuron.decay
    overlap = math.sqrt(patches_per_input(layer.operator))
    places = 0 if layer.bias is None else math.prod(layer.operator.output_shape[1:])
    weight = spectral_bound(layer.operator) + overlap * radius
    kept = decay * neuron.largest_kept_slope()
    slope = neuron.largest_spike_slope() if neuron.fires else 1.0
    bend = neuron.spike_curvature if neuron.fires else 0.0
    u1 = u2 = 0.0
    first, second = [], []
    for norm, below1, below2 in zip(inputs, first_below, second_below, strict=True):
        squared = u1 * u1 if neuron.fires else 0.0
        u2 = kept * u2 + decay * neuron.kept_curvature * squared
        u2 += weight * below2 + 2 * overlap * below1
        u1 = kept * u1 + weight * below1 + math.sqrt(overlap**2 * norm**2 + places)
        first.append(slope * u1)
        second.append(slope * u2 + (bend * u1 * u1 if neuron.fires else 0.0))
    return first, second


def largest_step_size(smoothness: float) -> float:
    """Return 1/(4L), the step-size condition of theorem 5: a quarter of what theorem 4 asks for.

    An L from below (a Hessian norm at some points, a difference quotient) makes this an estimate
    and no guarantee.

    Raises:
        HardspikeError: L is not positive and finite.
    """
    if not (smoothness > 0 and math.isfinite(smoothness)):
        raise HardspikeError(f"smoothness: found {smoothness}, allowed above 0 and finite")
    return 1 / (4 * smoothness)


def convergence_bound(
    gap: float, smoothness: float, rho: float, variance: float, step_size: float, steps: int
) -> float:
    """Return 2·gap/(ηT) + L²ρ² + Lησ² ≥ the mean over T steps of E‖∇f(w)‖² (theorem 4).

    `gap` is f(w₀) − inf f and `variance` σ² that of the second minibatch's gradient.

    Raises:
        HardspikeError: the step size is not in (0, 1/L], for which nothing is proved.
    """
    if not 0 < step_size * smoothness <= 1:
        raise HardspikeError(
            f"step_size: found {step_size:g}, allowed above 0 and up to 1/L = {1 / smoothness:g}"
        )
    descent = 2 * gap / (step_size * steps)
    return descent + (smoothness * rho) ** 2 + smoothness * step_size * variance
