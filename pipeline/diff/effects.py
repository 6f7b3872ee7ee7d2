"""What each differing parameter does alone: a layer run anew with one of them from the other side.

Axes: `T` time step, `N` neuron, `I` input. In float64 and the common unit,

    i[t] = c · i[t−1] + W x[t]
    u[t] = τ · kept[t−1] + i[t] + b,     kept = u, after a spike 0 or u − ϑ
    s[t] = u[t] > ϑ

(a filtered bias in i instead, and u = 0 in a refractory period)
so that what remains between this and a fixed-point layer's spikes is its integer arithmetic.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import Conv, Dense, Shape, Synapse
from hardware.arriving import neuron_bias, synapse_product
from hardware.refractory import Refractory
from pipeline.diff.pairs import Pair
from pipeline.diff.parameters import LayerParameters, Parameters
from pipeline.diff.sides import Side

Floats = NDArray[np.float64]
PARTS: dict[str, tuple[str, ...]] = {
    "weights": ("weight", "layer"),
    "bias": ("bias_O",),
    "decay": ("decay_O",),
    "current-decay": ("current_decay_O",),
    "threshold": ("threshold_N",),
    "reset": ("reset",),
    "refractory": ("refractory",),
    "bias-filtered": ("bias_filtered",),
}
"""What may be taken from the other side, and the fields that it is."""
ARITHMETIC = "arithmetic"
_PLAIN = {"stride", "padding", "dilation", "groups", "alive_N", "delay_N"}
"""Further fields that the equations above know, or that act behind the layer's own spikes."""
_AT_MOST = 10


def effects(
    a: Side, b: Side, pair: Pair, compared: LayerParameters, recordings: Iterable[int]
) -> dict[str, int] | None:
    """Return by part how many of the layer's spikes change when it alone comes from the other side.

    Both directions are counted, each on the inputs of the side whose layer it is, over the first
    ten of `recordings`; parts that change nothing are left out, and so is a number where the layers
    take inputs of other sizes. None where a layer has what the equations above lack.
    """
    parameters = compared.a, compared.b
    if any(side.others.keys() - _PLAIN for side in parameters):
        return None
    counts: dict[str, int] = dict.fromkeys([*PARTS, ARITHMETIC], 0)
    sides = ((a, pair.a, *parameters), (b, pair.b, *parameters[::-1]))
    for recording in list(recordings)[:_AT_MOST]:
        for side, place, own, other in sides:
            _count(counts, side, place, own, other, recording)
    return {part: count for part, count in counts.items() if count}


def _count(
    counts: dict[str, int],
    side: Side,
    place: int,
    own: Parameters,
    other: Parameters,
    recording: int,
) -> None:
    given, x_TI = side.subject.network.shapes[place], side.inputs(place)[recording]
    usual_TN = fired(own, x_TI, given)
    for part, names in PARTS.items():
        changed = dataclasses.replace(own, **{name: getattr(other, name) for name in names})
        if _fit(changed) and (part != "weights" or _takes(other, given)):
            counts[part] += int((fired(changed, x_TI, given) != usual_TN).sum())
    if not own.is_float:
        reference_TN = side.states(place, recording).spikes_BTN[0]
        counts[ARITHMETIC] += int((reference_TN != usual_TN).sum())


def _fit(parameters: Parameters) -> bool:
    """Whether decays of single outputs are those of as many."""
    sizes = {parameters.decay_O.size, parameters.current_decay_O.size}
    return sizes <= {1, len(parameters.weight)}


def _takes(parameters: Parameters, given: Shape) -> bool:
    synapse = parameters.layer.synapse
    if isinstance(synapse, Conv):
        return len(given) == 3 and synapse.weight_OIHW.shape[1] * synapse.groups == given[0]
    return math.prod(given) == int(synapse.weight_OI.shape[1])


def fired(parameters: Parameters, x_TI: NDArray[Any], given: Shape) -> NDArray[np.bool_]:
    """Run a layer in float64 over one recording; return its spikes `(T, N)`."""
    synapse = _in_common_unit(parameters)
    sums_TN = synapse_product(synapse, x_TI[None], given, np.float64)[0]
    bias_N = neuron_bias(synapse, sums_TN.shape[-1])
    alive_N = parameters.layer.alive_N
    if alive_N is not None:
        sums_TN, bias_N = sums_TN * alive_N, bias_N * alive_N
    neurons = sums_TN.shape[-1]
    shares = [parameters.current_decay_O, parameters.decay_O]
    keeps_i, keeps_u = (np.repeat(one, neurons // one.size) for one in shares)
    if parameters.bias_filtered:
        sums_TN, bias_N = sums_TN + bias_N, np.zeros_like(bias_N)
    rest = Refractory(parameters.refractory, (neurons,))
    current_N = np.zeros(neurons)
    kept_N = np.zeros_like(current_N)
    spikes_TN = np.zeros(sums_TN.shape, np.bool_)
    for t, sums_N in enumerate(sums_TN):
        current_N = keeps_i * current_N + sums_N
        u_N = rest.held(keeps_u * kept_N + current_N + bias_N)
        spikes_TN[t] = u_N > parameters.threshold_N
        rest.begins(spikes_TN[t])
        left_N = u_N - parameters.threshold_N if parameters.reset == "subtract" else 0.0
        kept_N = np.where(spikes_TN[t], left_N, u_N)
    return spikes_TN


def _in_common_unit(parameters: Parameters) -> Synapse:
    synapse = parameters.layer.synapse
    if isinstance(synapse, Conv):
        return dataclasses.replace(synapse, weight_OIHW=parameters.weight, bias_O=parameters.bias_O)
    return Dense(parameters.weight, parameters.bias_O)


def in_words(counts: Mapping[str, int] | None) -> str:
    """Return the effects, largest first: `weights 12, threshold 3`."""
    if counts is None:
        return "not counted: the layers have delays, recurrence or decays of their own"
    ordered = sorted(counts.items(), key=lambda entry: -entry[1])
    return ", ".join(f"{part} {count:,}" for part, count in ordered) or "none of them"
