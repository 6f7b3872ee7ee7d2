"""Delays, recurrence, decays and reset of the reference, against loops over Python's integers."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import Conv, FixedPointNetwork, Layer, LoihiLIF
from hardware.arriving import synapse_product
from hardware.reference import fixed_states
from tests.conformance.feature_networks import feature_case, fits_32_bits


def _truncated(value: int, share: int) -> int:
    size = abs(value) * share // 4096
    return size if value >= 0 else -size


def _plain_layer(layer: Layer[LoihiLIF], sums_TN: Any, neurons: int) -> tuple[Any, Any, Any]:
    """Run one recording: spikes, currents, membranes, `(T, N)` each, one number at a time."""
    steps, each = len(sums_TN), neurons // len(layer.synapse.weight)
    sent = [[0] * neurons for _ in range(steps)]
    spikes: NDArray[np.int64] = np.zeros((steps, neurons), np.int64)
    currents, membranes = spikes.copy(), spikes.copy()
    u, v, fired = [0] * neurons, [0] * neurons, [-9] * neurons
    for t in range(steps):
        for n in range(neurons):
            own = 0
            if layer.recurrent is not None and t:
                weights = layer.recurrent.weight_OI[n]
                own = sum(int(w) for w, s in zip(weights, spikes[t - 1], strict=True) if s)
            sent[t][n] = int(sums_TN[t][n]) + own
        for n in range(neurons):
            channel, neuron = n // each, layer.neuron
            du = neuron.current_decay
            du = du if layer.current_decay_O is None else int(layer.current_decay_O[channel])
            dv = neuron.membrane_decay
            dv = dv if layer.membrane_decay_O is None else int(layer.membrane_decay_O[channel])
            late = 0 if layer.dendrite_delay_N is None else int(layer.dendrite_delay_N[n])
            arrived = sent[t - late][n] if t >= late else 0
            bias = 0 if layer.synapse.bias_O is None else int(layer.synapse.bias_O[channel])
            current = _truncated(u[n], 4096 - du - 1) + arrived * 64
            if neuron.bias_filtered:
                current, bias = current + bias * 64, 0
            if current > 1 << 23:
                current -= 1 << 24
            elif current <= -(1 << 23):
                current += 1 << 24
            membrane = _truncated(v[n], 4096 - dv) + current + bias * 64
            membrane = max(1 - (1 << 23), min((1 << 23) - 1, membrane))
            if t - fired[n] <= neuron.refractory:
                membrane = 0
            if membrane > neuron.threshold * 64:
                spikes[t, n], fired[n] = 1, t
                membrane = membrane - neuron.threshold * 64 if neuron.reset == "subtract" else 0
            u[n], v[n] = current, membrane
            currents[t, n], membranes[t, n] = current, membrane
    return spikes, currents, membranes


def _plain_product(network: FixedPointNetwork, index: int, x_TN: Any) -> Any:
    """Return Σ w·x of one recording: dense by hand, convolutions tap by tap."""
    synapse, shape = network.layers[index].synapse, network.shapes[index]
    if not isinstance(synapse, Conv):
        return x_TN.astype(np.int64) @ synapse.weight_OI.T.astype(np.int64)
    outputs, share, rows, columns = synapse.weight_OIHW.shape
    _, out_rows, out_columns = synapse.output_shape(shape)
    sums = np.zeros((len(x_TN), outputs, out_rows, out_columns), np.int64)
    image = x_TN.reshape(-1, *shape).astype(np.int64)
    for o, i, h, w in np.ndindex(outputs, share, rows, columns):
        channel = o // (outputs // synapse.groups) * share + i
        for y, x in np.ndindex(out_rows, out_columns):
            row = y * synapse.stride[0] + h * synapse.dilation[0] - synapse.padding[0]
            column = x * synapse.stride[1] + w * synapse.dilation[1] - synapse.padding[1]
            if 0 <= row < shape[1] and 0 <= column < shape[2]:
                taken = image[:, channel, row, column]
                sums[:, o, y, x] += int(synapse.weight_OIHW[o, i, h, w]) * taken
    return sums.reshape(len(x_TN), -1)


def test_every_state_equals_that_of_plain_loops() -> None:
    compared = 0
    for seed in range(60):
        network, spikes_BTCHW = feature_case(seed)
        if network.input_shape == (2, 19, 19) or not fits_32_bits(network):
            continue
        for index, state in enumerate(fixed_states(network, spikes_BTCHW)):
            layer, neurons = state.layer, state.spikes_BTN.shape[-1]
            if neurons > 60:
                break
            sums_TN = _plain_product(network, index, state.inputs_BTN[0])
            found = _plain_layer(layer, sums_TN, neurons)
            states = (state.spikes_BTN, state.currents_BTN, state.membranes_BTN)
            for wanted_TN, states_BTN in zip(found, states, strict=True):
                first_TN = np.asarray(states_BTN)[0]
                np.testing.assert_array_equal(first_TN, wanted_TN, f"seed {seed}: {layer.name}")
            compared += 1
    assert compared >= 30


def test_an_axonal_delay_moves_what_the_next_layer_takes() -> None:
    for seed in range(40):
        network, spikes_BTCHW = feature_case(seed)
        states = list(fixed_states(network, spikes_BTCHW))
        for before, after in itertools.pairwise(states):
            delay_N = before.layer.delay_N
            sent_BTN, steps = before.spikes_BTN, network.steps
            for n in range(sent_BTN.shape[-1]):
                late = 0 if delay_N is None else int(delay_N[n])
                taken = after.inputs_BTN[:, :, n]
                assert not taken[:, :late].any()
                np.testing.assert_array_equal(
                    taken[:, late:], sent_BTN[:, : max(0, steps - late), n]
                )


def test_groups_and_dilation_leave_a_product_over_all_steps_exact() -> None:
    for seed in range(60):
        network, spikes_BTCHW = feature_case(seed)
        synapse = network.layers[0].synapse
        if not isinstance(synapse, Conv):
            continue
        x_BTN = spikes_BTCHW.reshape(*spikes_BTCHW.shape[:2], -1)
        found = synapse_product(synapse, x_BTN, network.input_shape, np.float64)
        np.testing.assert_array_equal(found[1], _plain_product(network, 0, x_BTN[1]))
