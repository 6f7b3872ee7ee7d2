"""One layer alone, run by the reference from given inputs, with its membranes before the reset.

Axes: `B` recording, `T` time step, `N` neuron, `I` input. Targets record spikes; what a membrane
was when they parted is told by the reference from the inputs that the target itself had.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import (
    LIF,
    Array,
    FixedPointNetwork,
    HardSpikeNetwork,
    Layer,
    LoihiLIF,
    Shape,
)
from hardware.reference import (
    ALIGN_BITS,
    DECAY_UNITY,
    clip24,
    fixed_states,
    neuron_bias,
    run_float,
    synapse_product,
    truncated_product,
    wrap24,
)

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
        dtype = layer.synapse.weight.dtype
        drive_BTN = _input(layer, inputs_BTI, input_shape, trace.last, dtype)
        bias_N = neuron_bias(layer.synapse, drive_BTN.shape[-1])
        drive_BTN = (drive_BTN.astype(dtype) + bias_N).astype(np.float64)
        return LayerStates(drive_BTN, trace.membranes_BTN.astype(np.float64), trace.last)
    (state,) = fixed_states(FixedPointNetwork(**frame), spikes_BTCHW)
    sums_BTN = _input(layer, inputs_BTI, input_shape, state.spikes_BTN, np.float64)
    bias_N = _alive(layer, neuron_bias(layer.synapse, sums_BTN.shape[-1]).astype(np.int64))
    before_BTN = _before_reset(layer, sums_BTN.astype(np.int64), bias_N, state.membranes_BTN)
    return LayerStates(sums_BTN + bias_N, before_BTN / (1 << ALIGN_BITS), state.spikes_BTN)


def _input(
    layer: Layer[Any], inputs_BTI: Array, input_shape: Shape, spikes_BTN: Array, dtype: Any
) -> Floats:
    """Return what the synapses bring at every step, the layer's own of the step before included.

    Recurrence and the delays of dendrites are fields that a network may have.
    """
    sums_BTN = synapse_product(layer.synapse, inputs_BTI, input_shape, dtype).astype(np.float64)
    recurrent = getattr(layer, "recurrent", None)
    if recurrent is not None:
        sums_BTN[:, 1:] += spikes_BTN[:, :-1].astype(np.float64) @ recurrent.weight_OI.T
        sums_BTN += 0 if recurrent.bias_O is None else recurrent.bias_O
    sums_BTN = arriving(_alive(layer, sums_BTN), getattr(layer, "dendrite_delay_N", None))
    return np.asarray(sums_BTN, np.float64)


def arriving(values_BTN: Array, delay_N: Array | None) -> Array:
    """Return the values held up by each neuron's delay in steps, zeros before; None is no delay."""
    if delay_N is None:
        return values_BTN
    late_BTN, steps = np.zeros_like(values_BTN), values_BTN.shape[1]
    for delay in np.unique(delay_N[delay_N < steps]):
        chosen = delay_N == delay
        late_BTN[:, delay:, chosen] = values_BTN[:, : steps - delay, chosen]
    return late_BTN


def _alive(layer: Layer[Any], values: Array) -> Array:
    return values if layer.alive_N is None else values * layer.alive_N


def _before_reset(
    layer: Layer[LoihiLIF], sums_BTN: Array, bias_N: Array, after_BTN: Array
) -> Array:
    """Return v before the reset, `(B, T, N)`, from the membranes that the reference left.

    Where a neuron stayed silent this is `after_BTN`; where it fired the reset has hidden it, and it
    is made again by the equations of `export.network` from the membrane of the step before.
    """
    batch, steps, neurons = after_BTN.shape
    du_N, dv_N = (_decay(layer, name, neurons) for name in ("current_decay", "membrane_decay"))
    u_BN = np.zeros((batch, neurons), np.int64)
    v_BN = np.zeros((batch, neurons), np.int64)
    before_BTN = np.zeros((batch, steps, neurons), np.int64)
    for t in range(steps):
        kept_u = truncated_product(u_BN, DECAY_UNITY - du_N - 1)
        u_BN = wrap24(kept_u + (sums_BTN[:, t] << ALIGN_BITS))
        kept_v = truncated_product(v_BN, DECAY_UNITY - dv_N)
        before_BTN[:, t] = clip24(kept_v + u_BN + (bias_N << ALIGN_BITS))
        v_BN = after_BTN[:, t].astype(np.int64)
    return before_BTN


def _decay(layer: Layer[LoihiLIF], name: str, neurons: int) -> Any:
    """Return a decay register of the layer, or one a neuron where the network has it so."""
    each_O = getattr(layer, f"{name}_O", None)
    if each_O is None:
        return getattr(layer.neuron, name)
    return np.repeat(np.asarray(each_O, np.int64), neurons // len(each_O))
