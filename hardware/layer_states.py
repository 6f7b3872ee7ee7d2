"""One layer alone, run by the reference from given inputs, with its membranes before the reset.

Axes: `B` recording, `T` time step, `N` neuron, `I` input. Targets record spikes; what a membrane
was when they parted is told by the reference from the inputs that the target itself had.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import LIF, Array, FixedPointNetwork, HardSpikeNetwork, Layer, Shape
from hardware.arriving import delayed, neuron_bias, synapse_product
from hardware.reference import (
    ALIGN_BITS,
    DECAY_UNITY,
    FixedStates,
    clip24,
    fixed_states,
    run_float,
    truncated_product,
)
from hardware.refractory import Refractory

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerStates:
    """What a layer goes through, each `(B, T, N)` and in units of its weights.

    `drive_BTN` is Σ w·x + b of the step, `before_BTN` the membrane before the reset (of a
    fixed-point layer v / 64, exactly), `spikes_BTN` what the reference fires.
    """

    drive_BTN: Floats
    before_BTN: Floats
    spikes_BTN: NDArray[np.uint8]


def layer_states(
    layer: Layer[Any], inputs_BTI: Array, input_shape: Shape, input_max: int
) -> LayerStates:
    """Run `layer` over `inputs_BTI`, which stand for the shape `input_shape`."""
    shape = input_shape if len(input_shape) == 3 else (math.prod(input_shape), 1, 1)
    batch, steps, _ = inputs_BTI.shape
    spikes_BTCHW = inputs_BTI.reshape(batch, steps, *shape).astype(np.uint8)
    frame: dict[str, Any] = {
        "input_shape": shape,
        "layers": (layer,),
        "readout": "count",
        "steps": steps,
        "dt": 1.0,
        "input_max": input_max,
    }
    if isinstance(layer.neuron, LIF):
        trace = run_float(HardSpikeNetwork(**frame), spikes_BTCHW)
        drive_BTN = _drive(layer, inputs_BTI, input_shape, trace.last, layer.synapse.weight.dtype)
        return LayerStates(drive_BTN, trace.membranes_BTN.astype(np.float64), trace.last)
    (state,) = fixed_states(FixedPointNetwork(**frame), spikes_BTCHW)
    drive_BTN = _drive(layer, inputs_BTI, input_shape, state.spikes_BTN, np.float64)
    return LayerStates(drive_BTN, _before_reset(state) / (1 << ALIGN_BITS), state.spikes_BTN)


def _drive(
    layer: Layer[Any], inputs_BTI: Array, input_shape: Shape, spikes_BTN: Array, dtype: Any
) -> Floats:
    """Return what every step brings: synapses, the layer's own spikes of the step before, bias."""
    sums_BTN = synapse_product(layer.synapse, inputs_BTI, input_shape, dtype)
    if layer.recurrent is not None:
        own = layer.recurrent
        sums_BTN[:, 1:] += spikes_BTN[:, :-1].astype(dtype) @ own.weight_OI.T.astype(dtype)
        sums_BTN += 0 if own.bias_O is None else own.bias_O
    bias_N = neuron_bias(layer.synapse, sums_BTN.shape[-1])
    drive_BTN = delayed(sums_BTN, layer.dendrite_delay_N) + bias_N
    return np.asarray(drive_BTN * (1 if layer.alive_N is None else layer.alive_N), np.float64)


def _before_reset(state: FixedStates) -> NDArray[np.int64]:
    """Return v before the reset, `(B, T, N)`, from what the reference left of each step.

    Where a neuron stayed silent this is its membrane; where it fired the reset has hidden it, and
    it is made again by the equations of `export.network` from the membrane of the step before.
    """
    layer, after_BTN = state.layer, state.membranes_BTN.astype(np.int64)
    neurons = after_BTN.shape[2]
    bias_N = neuron_bias(layer.synapse, neurons).astype(np.int64) << ALIGN_BITS
    if layer.neuron.bias_filtered:
        bias_N = np.zeros_like(bias_N)  # it is in the current
    if layer.alive_N is not None:
        bias_N = bias_N * layer.alive_N.astype(np.int64)
    previous_BTN = np.zeros_like(after_BTN)
    previous_BTN[:, 1:] = after_BTN[:, :-1]
    share: Any = DECAY_UNITY - layer.neuron.membrane_decay
    if layer.membrane_decay_O is not None:
        each_O = np.asarray(layer.membrane_decay_O, np.int64)
        share = DECAY_UNITY - np.repeat(each_O, neurons // len(each_O))
    kept_BTN = truncated_product(previous_BTN, share)
    before_BTN = np.asarray(clip24(kept_BTN + state.currents_BTN + bias_N), np.int64)
    rest = Refractory(layer.neuron.refractory, (len(after_BTN), neurons))
    for t in range(after_BTN.shape[1]):
        before_BTN[:, t] = rest.held(before_BTN[:, t])
        rest.begins(state.spikes_BTN[:, t])
    return before_BTN
