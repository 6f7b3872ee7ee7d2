"""Static bounds of a fixed-point layer: how far its sums and states can reach.

They decide which arithmetic is exact and which operations of a deployed graph cannot act. Every
bound holds for every input up to `input_max` and any number of steps unless steps are given.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from export.network import Array, Layer, LoihiLIF
from export.registers import THRESHOLD

ALIGN = 1 << 6
"""Synaptic input, bias and threshold are shifted left by 6 bits before they meet the state."""
DECAY_ONE = 1 << 12
STATE_END = 1 << 23
"""u and v have 24 bits, sign included."""


def activation_range(layer: Layer[Any], input_max: int) -> tuple[int, int]:
    """Return the least and the largest Σ w·x over inputs from 0 to `input_max`.

    A sum is smallest where only negative weights meet an input: min Σ w⁻·input_max over the
    outputs, and the same with w⁺ above. Padding only takes inputs away. A layer's own spikes, each
    0 or 1, add Σ r⁻ and Σ r⁺.
    """
    parts = list(_rows(layer, input_max))
    lowest_N = _added([np.minimum(rows, 0).sum(axis=1) * largest for rows, largest in parts])
    highest_N = _added([np.maximum(rows, 0).sum(axis=1) * largest for rows, largest in parts])
    return int(lowest_N.min()), int(highest_N.max())


def _drive_range(layer: Layer[LoihiLIF], input_max: int) -> tuple[int, int]:
    """Return the least and the largest that a step brings to the current, a filtered bias too."""
    lowest, highest = activation_range(layer, input_max)
    if not layer.neuron.bias_filtered or layer.synapse.bias_O is None:
        return lowest, highest
    return lowest + int(layer.synapse.bias_O.min()), highest + int(layer.synapse.bias_O.max())


def _rows(layer: Layer[Any], input_max: int) -> Iterator[tuple[Array, int]]:
    """Yield weights, a row an output, with the largest input that they meet."""
    for synapse, largest in ((layer.synapse, input_max), (layer.recurrent, 1)):
        if synapse is not None:
            yield synapse.weight.reshape(len(synapse.weight), -1).astype(np.int64), largest


def _added(parts: list[Array]) -> Array:
    """Return the sum over parts, of which a convolution's has one number a channel."""
    neurons = max(map(len, parts))
    return np.asarray(sum(np.repeat(part, neurons // len(part)) for part in parts))


def largest_sum(layer: Layer[Any], input_max: int) -> int:
    """Return a bound on |Σ w·x| and on every partial sum: max over outputs of Σ|w|·input_max."""
    parts = _rows(layer, input_max)
    return int(_added([np.abs(rows).sum(axis=1) * largest for rows, largest in parts]).max())


def current_peak(layer: Layer[LoihiLIF], input_max: int, steps: int) -> int:
    """Return a bound on |trunc(u·(4096 − du − 1)/4096) + (Σ w·x << 6)| over `steps` steps.

    One wrap takes a raw current r to at most max(2^23, |r| − 2^24), so the bound grows only where
    a step's input exceeds what one wrap takes off.
    """
    drive = ALIGN * max(abs(end) for end in _drive_range(layer, input_max))
    kept_share = DECAY_ONE - layer.neuron.current_decay - 1
    peak, state = 0, 0
    for _ in range(steps):
        raw = state * kept_share // DECAY_ONE + drive
        peak, previous = max(peak, raw), state
        state = max(min(raw, STATE_END), raw - 2 * STATE_END)
        if state <= previous:
            break
    return peak


def current_wraps(layer: Layer[LoihiLIF], input_max: int) -> bool:
    """Whether the synaptic current can leave −2^23 < u ≤ 2^23, where Lava wraps it.

    With shares k < 1 kept, the current stays within drive/(1 − k) for ever.
    """
    lowest, highest = (ALIGN * end for end in _drive_range(layer, input_max))
    lost_share = layer.neuron.current_decay + 1
    above = highest * DECAY_ONE > STATE_END * lost_share
    return above or -lowest * DECAY_ONE >= STATE_END * lost_share


def membrane_clips(layer: Layer[LoihiLIF], input_max: int) -> bool:
    """Whether the membrane can go below 1 − 2^23, where Lava clips it.

    The other clip, at 2^23 − 1, is seen only where `upper_clip_shows`. Below, v ≥ d/(1 − k), with
    d the least (≤ 0) step of current and bias and k the share kept; no leak (k = 1) gives no bound
    unless d is 0.
    """
    if current_wraps(layer, input_max):
        return True
    lowest = ALIGN * _drive_range(layer, input_max)[0] * DECAY_ONE
    bias_O = None if layer.neuron.bias_filtered else layer.synapse.bias_O
    bias = 0 if bias_O is None else int(bias_O.min())
    step = lowest + min(ALIGN * bias, 0) * (layer.neuron.current_decay + 1)
    lost_share = (layer.neuron.current_decay + 1) * layer.neuron.membrane_decay
    return -step * DECAY_ONE > (STATE_END - 1) * lost_share


def upper_clip_shows(layer: Layer[LoihiLIF]) -> bool:
    """Whether the clip of the membrane at 2^23 − 1 can be seen.

    It lies above every threshold of the chip, so the neuron fires and v becomes 0 with or without
    it. Where a spike takes only the threshold off, or no membrane reaches the threshold
    (lava-dl's affine blocks), it shows.
    """
    return layer.neuron.reset == "subtract" or layer.neuron.threshold > THRESHOLD.maximum
