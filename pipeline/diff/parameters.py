"""The parameters of two layers in one unit, and which of them differ.

Axes: `O` output, `N` neuron. A float layer's weights, bias and threshold are in the unit of its
membrane; a fixed-point layer's are whole numbers, `scale` of them to that unit. Decays are the
share kept a step: τ, (4096 − dv) / 4096, and for the current (4096 − du − 1) / 4096.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bounds import DECAY_ONE
from export.network import LIF, Array, Layer, Network
from export.registers import THRESHOLD, WEIGHT
from pipeline.diff.forms import distance, turned_form
from pipeline.diff.further_fields import differences, further_fields, same_fields

Floats = NDArray[np.float64]
_SHARE = 1e-6
"""How far two floats may be apart, as a share, and count as the same."""
_NORM_SHARE = 0.02
"""The same for thresholds where the unit had to be taken from the weights' norms."""
_ROUNDING_RMS, _ROUNDING_MAX = 0.6, 4.0
"""In steps of the weights' grid: rounding to the nearest gives 0.29 and 0.5."""
_BETTER = 0.8


@dataclass(frozen=True, eq=False)
class Parameters:
    """A layer's numbers in the common unit, which is `factor` times its own.

    `grid` is the distance of two neighbouring weights, `whole` that of two neighbouring biases or
    thresholds, both 0 in a float layer; `threshold_N` has one number, or one a neuron, and is
    infinite where the neuron is not meant to fire. So `decay_O` and `current_decay_O` have one
    number, or one an output. `others` are further fields by name.
    """

    layer: Layer[Any]
    weight: Floats
    bias_O: Floats | None
    threshold_N: Floats
    decay_O: Floats
    current_decay_O: Floats
    reset: str
    refractory: int
    bias_filtered: bool
    factor: float
    grid: float
    whole: float
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def is_float(self) -> bool:
        """Whether the layer is a float network's."""
        return isinstance(self.layer.neuron, LIF)

    @property
    def threshold(self) -> float:
        """The threshold, of single neurons the mean."""
        return float(self.threshold_N.mean())

    @property
    def decay(self) -> float:
        """The share of the membrane kept a step, of several the mean."""
        return float(self.decay_O.mean())

    @property
    def current_decay(self) -> float:
        """The share of the synaptic current kept a step, of several the mean."""
        return float(self.current_decay_O.mean())


@dataclass(frozen=True, eq=False)
class LayerParameters:
    """Two layers' parameters, and the names of those that differ in `differing`.

    `weight_error` is ‖Δ‖ over the larger norm, `grid_rms` and `grid_max` are Δ in steps of the
    coarser grid, weights at an end of their register left out, for larger ones were clipped there;
    None between float layers. All are None where the weights' shapes differ. `turned` says how B's
    weights must be turned to be A's. `bias_error` is as `weight_error`.
    """

    name: str
    a: Parameters
    b: Parameters
    differing: tuple[str, ...]
    weight_error: float | None
    grid_rms: float | None
    grid_max: float | None
    turned: str | None
    bias_error: float

    @property
    def structural(self) -> list[str]:
        """What is built otherwise, in words."""
        one, other = ("×".join(map(str, side.weight.shape)) for side in (self.a, self.b))
        shapes = [f"weights of {one} in A, {other} in B"] if one != other else []
        return [*shapes, *differences(self.a.others, self.b.others)]


def compare_parameters(
    name: str,
    a: tuple[Network[Any], int, bool],
    b: tuple[Network[Any], int, bool],
) -> LayerParameters:
    """Compare layer `a` with layer `b`, each (network, place, whether its scale is known)."""
    layers = a[0].layers[a[1]], b[0].layers[b[1]]
    ratio, by_norm = _unit_ratio(layers, a[2] and b[2])
    unit = _unit(layers[0]) if a[2] else 1.0
    ends = [_never(network, place) for network, place, _ in (a, b)]
    one = _parameters(layers[0], 1 / unit, ends[0])
    other = _parameters(layers[1], ratio / unit, ends[1])
    same_shape = one.weight.shape == other.weight.shape
    rms, largest = _grid_steps(one, other) if same_shape else (None, None)
    turned = (
        turned_form(one.weight, other.weight, layers[0].synapse, a[0].shapes[a[1]])
        if same_shape
        else None
    )
    biases = [_bias(one), _bias(other)]
    return LayerParameters(
        name=name,
        a=one,
        b=other,
        differing=tuple(_differing(one, other, (rms, largest), turned, by_norm)),
        weight_error=distance(one.weight, other.weight) if same_shape else None,
        grid_rms=rms,
        grid_max=largest,
        turned=turned,
        bias_error=distance(*biases) if biases[0].shape == biases[1].shape else 1.0,
    )


def _unit(layer: Layer[Any]) -> float:
    return 1.0 if isinstance(layer.neuron, LIF) else float(layer.scale)


def _unit_ratio(layers: tuple[Layer[Any], Layer[Any]], scales: bool) -> tuple[float, bool]:
    """Return the factor that takes B's weights to A's unit, and whether it is that of their norms.

    The files' scales give it, or the numbers are of one unit as they stand. Where the ratio of the
    norms brings the weights much closer than either, it does.
    """
    one, other = (layer.synapse.weight.astype(np.float64) for layer in layers)
    usual = [_unit(layers[0]) / _unit(layers[1])] if scales else []
    if one.shape != other.shape or not one.any() or not other.any():
        return (usual or [1.0])[0], False
    norms = float(np.linalg.norm(one) / np.linalg.norm(other))
    best = min([*usual, 1.0], key=lambda ratio: abs(math.log(ratio / norms)))
    if distance(one, norms * other) < _BETTER * distance(one, best * other) - _SHARE:
        return norms, True
    return best, False


def _never(network: Network[Any], place: int) -> bool:
    """Whether a layer's threshold only stands in for none: the last of a membrane readout."""
    last = place == len(network.layers) - 1
    return last and network.readout == "membrane"


def _parameters(layer: Layer[Any], factor: float, never: bool) -> Parameters:
    neuron, weight = layer.neuron, layer.synapse.weight.astype(np.float64)
    bias, is_float = layer.synapse.bias_O, isinstance(layer.neuron, LIF)
    threshold_N = np.atleast_1d(
        np.asarray(neuron.threshold if layer.threshold_N is None else layer.threshold_N, np.float64)
    )
    if never and not is_float:
        threshold_N = np.where(threshold_N == THRESHOLD.maximum, math.inf, threshold_N)
    return Parameters(
        layer=layer,
        weight=weight * factor,
        bias_O=None if bias is None else bias.astype(np.float64) * factor,
        threshold_N=threshold_N * factor,
        decay_O=_decay(layer),
        current_decay_O=_current_decay(layer),
        reset=neuron.reset,
        refractory=neuron.refractory,
        bias_filtered=neuron.bias_filtered,
        factor=factor,
        grid=0.0 if is_float else factor * _grid(layer.synapse.weight),
        whole=0.0 if is_float else factor,
        others=further_fields(layer),
    )


def _decay(layer: Layer[Any]) -> Floats:
    neuron, own_O = layer.neuron, layer.membrane_decay_O
    if isinstance(neuron, LIF):
        return _floats(neuron.decay if own_O is None else own_O)
    return (DECAY_ONE - _floats(neuron.membrane_decay if own_O is None else own_O)) / DECAY_ONE


def _current_decay(layer: Layer[Any]) -> Floats:
    neuron, own_O = layer.neuron, layer.current_decay_O
    found = _floats(neuron.current_decay if own_O is None else own_O)
    return found if isinstance(neuron, LIF) else (DECAY_ONE - found - 1) / DECAY_ONE


def _floats(value: float | Array) -> Floats:
    return np.atleast_1d(np.asarray(value, np.float64))


def _grid(weight: Array) -> int:
    """Return the greatest common divisor of the weights: the distance of their levels."""
    return max(1, int(np.gcd.reduce(np.abs(weight.astype(np.int64)).ravel())))


def _bias(side: Parameters) -> Floats:
    return np.zeros(len(side.weight)) if side.bias_O is None else side.bias_O


def _grid_steps(one: Parameters, other: Parameters) -> tuple[float | None, float | None]:
    """Return root mean square and maximum of Δ in steps, without weights that may be clipped."""
    grid = max(one.grid, other.grid)
    if grid == 0:
        return None, None
    steps = np.abs(one.weight - other.weight) / grid
    inside = steps[~(_at_end(one) | _at_end(other))]
    return float(np.sqrt((inside**2).sum() / max(1, inside.size))), float(inside.max(initial=0))


def _at_end(side: Parameters) -> NDArray[np.bool_]:
    """Return which weights stand at an end of the register, where larger ones were clipped."""
    weight = side.layer.synapse.weight
    if side.is_float:
        return np.zeros(weight.shape, np.bool_)
    levels = WEIGHT.minimum, -WEIGHT.minimum - _grid(weight)
    return np.asarray((weight <= levels[0]) | (weight >= levels[1]))


def _differing(
    one: Parameters,
    other: Parameters,
    steps: tuple[float | None, float | None],
    turned: str | None,
    by_norm: bool,
) -> list[str]:
    """Return the names of what differs by more than rounding to a register explains."""
    found = ["weights-turned"] if turned is not None else []
    found += [
        part.replace("_", "-")
        for part in ("reset", "refractory", "bias_filtered")
        if getattr(one, part) != getattr(other, part)
    ]
    if one.weight.shape != other.weight.shape or not same_fields(one.others, other.others):
        found.append("structure")
    grid = 0.5 / DECAY_ONE * (1 if one.is_float != other.is_float else 0)
    for name in ("decay", "current_decay"):
        pair = getattr(one, f"{name}_O"), getattr(other, f"{name}_O")
        sizes = {values.size for values in pair} - {1}
        if len(sizes) > 1 or _apart(*pair, grid):
            found.append(name.replace("_", "-"))
    if _thresholds_differ(one, other, _NORM_SHARE if by_norm else _SHARE):
        found.append("threshold")
    room = one.whole + other.whole
    if _bias(one).shape != _bias(other).shape or _beyond(_bias(one), _bias(other), room):
        found.append("bias")
    if turned is None and one.weight.shape == other.weight.shape:
        found += _weights_differ(one, other, steps)
    return found


def _apart(one: Floats, other: Floats, room: float) -> bool:
    return bool((np.abs(one - other) > room + _SHARE * np.maximum(one, other)).any())


def _thresholds_differ(one: Parameters, other: Parameters, share: float) -> bool:
    if one.threshold_N.size not in (1, other.threshold_N.size) and other.threshold_N.size != 1:
        return True
    never = ~np.isfinite(one.threshold_N), ~np.isfinite(other.threshold_N)
    if (never[0] != never[1]).any():
        return True
    if never[0].all():
        return False
    half = (one.whole + other.whole) / 2
    return _beyond(one.threshold_N, other.threshold_N, half, share)


def _beyond(one: Floats, other: Floats, room: float, share: float = _SHARE) -> bool:
    largest = max(float(np.abs(one).max(initial=0)), float(np.abs(other).max(initial=0)))
    return bool((np.abs(one - other) > room * (1 + _SHARE) + share * largest).any())


def _weights_differ(
    one: Parameters, other: Parameters, steps: tuple[float | None, float | None]
) -> list[str]:
    rms, largest = steps
    if distance(one.weight, other.weight) <= _SHARE:
        return []
    if rms is None or largest is None:
        return ["weights"]
    return ["rounding" if rms <= _ROUNDING_RMS and largest <= _ROUNDING_MAX else "weights"]
