"""The oracle: every target is held to what these pure NumPy functions compute.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron. Networks are
described in `export.network`.

The constants stand here once more, apart from those of the exporters, so that a slip in one of
them shows. Sums of integer weights over integer inputs are done in floating point: every partial
sum is an integer below 2^24 (float32) or 2^53 (float64), so each is exact whatever the order of
summation.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bounds import largest_sum
from export.network import (
    LIF,
    Conv,
    Dense,
    FixedPointNetwork,
    HardSpikeNetwork,
    Layer,
    LoihiLIF,
    Network,
)
from hardware.arriving import delayed, neuron_bias, synapse_product
from hardware.refractory import Refractory

Array = NDArray[Any]

DECAY_UNITY = 1 << 12
"""One in units of a decay register (12 bits)."""
ALIGN_BITS = 6
"""Synaptic input, bias and threshold are shifted left by this many bits before they meet v."""
STATE_LIMIT = 1 << 23
"""u and v have 24 bits, sign included."""
_CHUNK_BYTES = 256 << 20


def truncated_product(state: Array, factor: int | Array) -> NDArray[np.int64]:
    """Return trunc(state · factor / 4096), rounding towards zero, in 64-bit integers."""
    product = state.astype(np.int64) * factor
    return np.asarray(np.sign(product) * (np.abs(product) >> 12), dtype=np.int64)


def wrap24(current: Array) -> Array:
    """Wrap once around 24 bits, as Lava does: above 2^23 minus 2^24, at or below −2^23 plus it."""
    above = np.where(current > STATE_LIMIT, current - 2 * STATE_LIMIT, current)
    return np.where(above <= -STATE_LIMIT, current + 2 * STATE_LIMIT, above)


def clip24(membrane: Array) -> Array:
    """Clip to ±(2^23 − 1), as Lava does."""
    return np.clip(membrane, 1 - STATE_LIMIT, STATE_LIMIT - 1)


@dataclass(frozen=True, eq=False)
class NeuronStates:
    """Spikes, and currents and membranes (after the reset), of all steps, each `(B, T, N)`."""

    spikes_BTN: NDArray[np.uint8]
    currents_BTN: NDArray[np.int32]
    membranes_BTN: NDArray[np.int32]

    @classmethod
    def zeros(cls, batch: int, steps: int, neurons: int) -> "NeuronStates":
        """Return states to be filled in."""
        shape = (batch, steps, neurons)
        return cls(np.zeros(shape, np.uint8), np.zeros(shape, np.int32), np.zeros(shape, np.int32))


def loihi_neurons(
    activation_BTN: Array,
    bias_N: Array | int,
    neuron: LoihiLIF,
    threshold_N: Array | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Run Loihi's neurons over all steps and return (spikes_BTN, membranes_BTN after the reset).

    `activation_BTN` is Σ w·s, `bias_N` the bias mantissa with its exponent of 6, `threshold_N` a
    faulty chip's thresholds in the place of vth. The equations are those of `export.network`; both
    states start at zero.
    """
    silent = Dense(np.zeros((activation_BTN.shape[-1], 1), np.int32))
    layer = Layer("", silent, neuron, threshold_N=threshold_N)
    states = loihi_layer(activation_BTN, bias_N, layer)
    return states.spikes_BTN, states.membranes_BTN


def loihi_layer(activation_BTN: Array, bias_N: Array | int, layer: Layer[LoihiLIF]) -> NeuronStates:
    """Run the neurons of `layer`, its recurrence and delays included, over all steps.

    `activation_BTN` is Σ w·s of the layer's input, without what its own spikes add.
    """
    batch, steps, neurons = activation_BTN.shape
    states = NeuronStates.zeros(batch, steps, neurons)
    u_BN, v_BN = np.zeros((2, batch, neurons), np.int64)
    filtered, later = _biases(np.asarray(bias_N, np.int64) << ALIGN_BITS, layer.neuron)
    threshold = layer.neuron.threshold if layer.threshold_N is None else layer.threshold_N
    vth = np.asarray(threshold, np.int64) << ALIGN_BITS
    share_u, share_v = _shares(layer, neurons)
    rest = Refractory(layer.neuron.refractory, (batch, neurons))
    for t, sums_BN in enumerate(_sums(activation_BTN, layer, states.spikes_BTN)):
        u_BN = wrap24(truncated_product(u_BN, share_u) + (sums_BN << ALIGN_BITS) + filtered)
        v_BN = rest.held(clip24(truncated_product(v_BN, share_v) + u_BN + later))
        fired_BN = v_BN > vth
        v_BN = np.where(fired_BN, v_BN - vth if layer.neuron.reset == "subtract" else 0, v_BN)
        states.spikes_BTN[:, t], states.currents_BTN[:, t] = fired_BN, u_BN
        states.membranes_BTN[:, t] = v_BN
        rest.begins(fired_BN)
    return states


def _biases(bias: Any, neuron: LIF | LoihiLIF) -> tuple[Any, Any]:
    """Return what is added to the synaptic current and to the membrane."""
    return (bias, 0) if neuron.bias_filtered else (0, bias)


def _shares(layer: Layer[LoihiLIF], neurons: int) -> tuple[Any, Any]:
    """Return what is kept of u and v in a step, in 1/4096: one number, or one a neuron."""
    du, dv = layer.neuron.current_decay, layer.neuron.membrane_decay
    repeats = neurons // len(layer.synapse.weight)
    du_N = du if layer.current_decay_O is None else np.repeat(layer.current_decay_O, repeats)
    dv_N = dv if layer.membrane_decay_O is None else np.repeat(layer.membrane_decay_O, repeats)
    return DECAY_UNITY - du_N - 1, DECAY_UNITY - dv_N


def _sums(
    activation_BTN: Array, layer: Layer[LoihiLIF], spikes_BTN: NDArray[np.uint8]
) -> Iterator[NDArray[np.int64]]:
    """Yield what reaches the neurons in each step; reads the spikes of the step before.

    All of Σ w·s + Σ r·s[t−1] waits for the dendritic delay.
    """
    arriving_BTN = np.array(activation_BTN, np.int64)
    if layer.recurrent is None:
        yield from delayed(arriving_BTN, layer.dendrite_delay_N).swapaxes(0, 1)
        return
    steps, neurons = arriving_BTN.shape[1:]
    weight_NN = layer.recurrent.weight_OI.T.astype(np.float64)
    delay_N = np.zeros(neurons, np.int64)
    if layer.dendrite_delay_N is not None:
        delay_N = layer.dendrite_delay_N.astype(np.int64)
    for t in range(steps):
        if t:
            own_BN = spikes_BTN[:, t - 1].astype(np.float64) @ weight_NN
            arriving_BTN[:, t] += own_BN.astype(np.int64)
        late_N = t - delay_N
        taken_BN = arriving_BTN[:, np.maximum(late_N, 0), np.arange(neurons)]
        yield np.where(late_N >= 0, taken_BN, 0)


def float_layer(
    activation_BTN: Array, bias_N: Array | float, layer: Layer[LIF]
) -> tuple[NDArray[np.uint8], Array]:
    """Run the neurons of `layer`; return (spikes_BTN, membranes_BTN before the reset).

    Its recurrent weights add Wᵣ s[t−1] + bᵣ to a step's input (in the first step s[−1] = 0). A
    membrane that a refractory period holds is zero.
    """
    batch, steps, neurons = activation_BTN.shape
    spikes_BTN = np.zeros((batch, steps, neurons), np.uint8)
    membranes_BTN = np.zeros_like(activation_BTN)
    kept_BN, current_BN = np.zeros((2, batch, neurons), activation_BTN.dtype)
    fired_BN = np.zeros((batch, neurons), np.bool_)
    neuron, recurrent = layer.neuron, layer.recurrent
    filtered, later = _biases(bias_N, neuron)
    share_i, share_u = _float_shares(layer, neurons, activation_BTN.dtype)
    rest = Refractory(neuron.refractory, (batch, neurons))
    for t in range(steps):
        drive_BN = activation_BTN[:, t] + filtered
        if recurrent is not None:
            drive_BN = drive_BN + fired_BN @ recurrent.weight_OI.T
            drive_BN += 0 if recurrent.bias_O is None else recurrent.bias_O
        if neuron.current_decay:
            drive_BN = current_BN = share_i * current_BN + drive_BN
        u_BN = rest.held(share_u * kept_BN + drive_BN + later)
        fired_BN = u_BN > neuron.threshold
        spikes_BTN[:, t], membranes_BTN[:, t] = fired_BN, u_BN
        after_BN = u_BN - neuron.threshold if neuron.reset == "subtract" else 0
        kept_BN = np.where(fired_BN, after_BN, u_BN)
        rest.begins(fired_BN)
    return spikes_BTN, membranes_BTN


def _float_shares(layer: Layer[LIF], neurons: int, dtype: Any) -> tuple[Any, Any]:
    """Return c and τ: one number, or one a neuron."""
    repeats = neurons // len(layer.synapse.weight)
    shares = (
        (layer.neuron.current_decay, layer.current_decay_O),
        (layer.neuron.decay, layer.membrane_decay_O),
    )
    found = [
        dtype.type(own) if each_O is None else np.repeat(each_O, repeats).astype(dtype)
        for own, each_O in shares
    ]
    return found[0], found[1]


@dataclass(frozen=True, eq=False)
class Trace:
    """Spikes of every layer by name, and the membranes of the last layer, each `(B, T, N)`.

    `wrapped_currents` counts (recording, step, neuron) whose input of one step alone left 24 bits.
    """

    spikes_BTN: dict[str, NDArray[np.uint8]]
    membranes_BTN: Array
    wrapped_currents: int = 0

    @property
    def last(self) -> NDArray[np.uint8]:
        """The spikes of the last layer."""
        return list(self.spikes_BTN.values())[-1]


@dataclass(frozen=True, eq=False)
class FixedStates:
    """What one layer read and went through, each `(B, T, N)`; membranes are after the reset.

    `inputs_BTN` are the spikes as they arrive, axonal delays of the layer below included.
    """

    layer: Layer[LoihiLIF]
    inputs_BTN: Array
    spikes_BTN: NDArray[np.uint8]
    membranes_BTN: NDArray[np.int32]
    wrapped_currents: int
    currents_BTN: NDArray[np.int32]


def run_fixed(network: FixedPointNetwork, spikes_BTCHW: NDArray[np.uint8]) -> Trace:
    """Run the fixed-point network in Loihi's integers over a batch of recordings."""
    return traced(fixed_states(network, spikes_BTCHW))


def traced(states: Iterable[FixedStates]) -> Trace:
    """Return what is left of the states of all layers: memory does not grow with their currents."""
    spikes, membranes, wrapped = {}, np.zeros(0, np.int32), 0
    for state in states:
        spikes[state.layer.name], membranes = state.spikes_BTN, state.membranes_BTN
        wrapped += state.wrapped_currents
    return Trace(spikes, membranes, wrapped)


def fixed_states(
    network: FixedPointNetwork, spikes_BTCHW: NDArray[np.uint8]
) -> Iterator[FixedStates]:
    """Yield the states of every layer in turn, in Loihi's integers, over a batch of recordings."""
    x_BTN: Array = spikes_BTCHW.reshape(*spikes_BTCHW.shape[:2], -1)
    largest = network.input_max
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        dtype = np.float32 if largest_sum(layer, largest) < (1 << 24) else np.float64
        activation = synapse_product(layer.synapse, x_BTN, shape, dtype)
        bias = neuron_bias(layer.synapse, activation.shape[-1])
        if layer.alive_N is not None:
            activation, bias = activation * layer.alive_N.astype(dtype), bias * layer.alive_N
        limit = STATE_LIMIT >> ALIGN_BITS
        wrapped = int(((activation > limit) | (activation <= -limit)).sum())
        found = loihi_layer(activation, bias, layer)
        spikes_BTN, membranes_BTN = found.spikes_BTN, found.membranes_BTN
        yield FixedStates(layer, x_BTN, spikes_BTN, membranes_BTN, wrapped, found.currents_BTN)
        x_BTN, largest = delayed(spikes_BTN, layer.delay_N), 1


def run_float(network: HardSpikeNetwork, spikes_BTCHW: NDArray[np.uint8]) -> Trace:
    """Run the float network over a batch of recordings, in the precision of its weights."""
    x_BTN: Array = spikes_BTCHW.reshape(*spikes_BTCHW.shape[:2], -1)
    spikes, membranes = {}, x_BTN
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        activation = synapse_product(layer.synapse, x_BTN, shape, layer.synapse.weight.dtype)
        bias = neuron_bias(layer.synapse, activation.shape[-1])
        spikes_BTN, membranes = float_layer(activation, bias, layer)
        spikes[layer.name] = spikes_BTN
        x_BTN = delayed(spikes_BTN, layer.delay_N)
    return Trace(spikes, membranes)


def chunk_size(network: Network[Any]) -> int:
    """Return how many recordings to run at once, so that the largest arrays stay within bounds.

    The patches of a convolution are its largest array: positions × taps, in float32 and once more
    in bytes.
    """
    widest = 0
    for layer, shape in zip(network.layers, network.shapes[1:], strict=True):
        taps = layer.synapse.weight[0].size if isinstance(layer.synapse, Conv) else 1
        widest = max(widest, math.prod(shape[1:]) * taps * 5 + math.prod(shape) * 40)
    return max(1, _CHUNK_BYTES // (widest * network.steps))
