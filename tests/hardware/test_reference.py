"""The oracle against a plain-Python loop over integers, and against steps worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from numpy.typing import NDArray

from export.network import LIF, Conv, Dense, FixedPointNetwork, HardSpikeNetwork, Layer, LoihiLIF
from hardware.arriving import synapse_product
from hardware.reference import (
    clip24,
    loihi_neurons,
    run_fixed,
    run_float,
    truncated_product,
    wrap24,
)
from tests.conformance.random_networks import Case, cases, within_limits


def _truncate(state: int, factor: int) -> int:
    """trunc(state · factor / 4096) on Python integers."""
    size = abs(state * factor) // 4096
    return size if state >= 0 else -size


class _PlainNeuron:
    """One Loihi neuron in Python's own integers."""

    def __init__(self, neuron: LoihiLIF, bias: int) -> None:
        self.neuron, self.bias, self.u, self.v = neuron, bias, 0, 0

    def step(self, total: int) -> int:
        raw = _truncate(self.u, 4096 - self.neuron.current_decay - 1) + total * 64
        if raw > 2**23:
            self.u = raw - 2**24
        elif raw <= -(2**23):
            self.u = raw + 2**24
        else:
            self.u = raw
        v = _truncate(self.v, 4096 - self.neuron.membrane_decay) + self.u + self.bias * 64
        self.v = max(-(2**23) + 1, min(2**23 - 1, v))
        fired = self.v > self.neuron.threshold * 64
        self.v = 0 if fired else self.v
        return int(fired)


def _plain_sums(layer: Layer[LoihiLIF], x: list[int], shape: tuple[int, ...]) -> list[int]:
    """Σ w·x by loops over positions, channels and kernel, neurons ordered (C, H, W)."""
    synapse = layer.synapse
    if isinstance(synapse, Dense):
        rows = synapse.weight_OI.tolist()
        return [sum(w * s for w, s in zip(row, x, strict=True)) for row in rows]
    (channels, height, width), weight = shape, synapse.weight_OIHW.tolist()
    _, high, wide = synapse.output_shape(shape)
    sums = []
    for kernel in weight:
        for row in range(high):
            for column in range(wide):
                total = 0
                for c in range(channels):
                    for i, line in enumerate(kernel[c]):
                        for j, value in enumerate(line):
                            y = row * synapse.stride[0] + i - synapse.padding[0]
                            z = column * synapse.stride[1] + j - synapse.padding[1]
                            if 0 <= y < height and 0 <= z < width:
                                total += value * x[(c * height + y) * width + z]
                sums.append(total)
    return sums


def _plain_run(network: FixedPointNetwork, recording: NDArray[Any]) -> tuple[list[int], list[int]]:
    """Return (spikes of the last step, membranes of the last step) of the last layer."""
    populations = []
    for layer, shape in zip(network.layers, network.shapes[1:], strict=True):
        size, bias = math.prod(shape), layer.synapse.bias_O
        each = [0] * size if bias is None else np.repeat(bias, size // len(bias)).tolist()
        populations.append([_PlainNeuron(layer.neuron, value) for value in each])
    x: list[int] = []
    for step in recording.reshape(len(recording), -1).tolist():
        x = step
        for layer, shape, neurons in zip(network.layers, network.shapes, populations, strict=False):
            sums = _plain_sums(layer, x, shape)
            x = [neuron.step(total) for neuron, total in zip(neurons, sums, strict=True)]
    return x, [neuron.v for neuron in populations[-1]]


@given(cases())
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_the_reference_equals_plain_integers(case: Case) -> None:
    network, spikes_BTCHW = case
    assume(within_limits(network))
    assume(sum(layer.synapse.weight.size for layer in network.layers) < 6000)
    trace = run_fixed(network, spikes_BTCHW)
    spikes, membranes = _plain_run(network, spikes_BTCHW[-1])
    assert trace.last[-1, -1].tolist() == spikes
    assert trace.membranes_BTN[-1, -1].tolist() == membranes


def test_two_steps_by_hand() -> None:
    """du = 4095, dv = 1024 keeps 3/4.

    Step 1: v = (100 << 6) = 6400, not above 100 << 6 = 6400.
    Step 2: v = 4800 + 6400 = 11200 > 6400: fires, v = 0.
    Step 3: v = 0 + (−1 << 6) = −64.   Step 4: v = −48 + 64 + 0 = 16.
    """
    activation_BTN = np.array([[[100], [100], [-1], [1]]])
    spikes, membranes = loihi_neurons(activation_BTN, 0, LoihiLIF(1024, 100))
    assert spikes[0, :, 0].tolist() == [0, 1, 0, 0]
    assert membranes[0, :, 0].tolist() == [6400, 0, -64, 16]


def test_the_current_filter_by_hand() -> None:
    """du = 2047 keeps 1/2 of u (it gets +1); dv = 0 keeps all of v; bias 3 adds 192 a step.

    u: 640, 320, 160.   v: 832, 1344, 1696.
    """
    activation_BTN = np.array([[[10], [0], [0]]])
    _, membranes = loihi_neurons(activation_BTN, 3, LoihiLIF(0, 131071, 2047))
    assert membranes[0, :, 0].tolist() == [832, 1344, 1696]


@pytest.mark.parametrize(("state", "kept"), [(4097, 1), (-4097, -1), (4095, 0), (-4095, 0)])
def test_a_leak_rounds_towards_zero(state: int, kept: int) -> None:
    assert truncated_product(np.array([state]), 1).tolist() == [kept]


def test_a_wrap_keeps_the_upper_end_and_turns_the_lower() -> None:
    end = 1 << 23
    found = wrap24(np.array([end, end + 1, -end, -end + 1, 3 * end]))
    assert found.tolist() == [end, 1 - end, end, 1 - end, end]


def test_a_clip_stops_short_of_both_powers_of_two() -> None:
    end = 1 << 23
    assert clip24(np.array([end, -end, 5])).tolist() == [end - 1, 1 - end, 5]


def test_a_padded_strided_convolution_by_hand() -> None:
    """[[1,2],[3,4]] over a 2×3 image padded by 1 at the sides, stride 1 down and 2 across."""
    synapse = Conv(np.array([[[[1, 2], [3, 4]]]]), None, (1, 2), (0, 1))
    image_BTN = np.array([[[1, 0, 2, 5, 6, 7]]])
    sums = synapse_product(synapse, image_BTN, (1, 2, 3), np.float64)
    assert sums.tolist() == [[[2 * 1 + 4 * 5, 2 * 2 + 3 * 6 + 4 * 7]]]


def test_the_float_network_by_hand() -> None:
    """τ = 1/2, ϑ = 1: u = 1 stays below, 1/2 + 1 = 3/2 fires, then 0 + 1 = 1 again."""
    layer = Layer("one", Dense(np.array([[1.0]])), LIF(0.5, 1.0))
    network = HardSpikeNetwork((1, 1, 1), (layer,), "count", 3, 0.01)
    trace = run_float(network, np.ones((1, 3, 1, 1, 1), np.uint8))
    assert trace.last[0, :, 0].tolist() == [0, 1, 0]
    assert trace.membranes_BTN[0, :, 0].tolist() == [1.0, 1.5, 1.0]
