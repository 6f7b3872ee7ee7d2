"""A layer alone: its spikes are those of the whole network, and its membranes explain them."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from hardware.layer_states import layer_states
from hardware.reference import fixed_states, run_float
from tests.conformance.feature_networks import feature_case, fits_32_bits
from tests.conformance.random_networks import Case, cases, within_limits
from tests.export.networks import float_network
from tests.export.test_onnx_network import late_network


def check_fixed(case: Case) -> None:
    network, spikes_BTCHW = case
    input_max = network.input_max
    for state, shape in zip(fixed_states(network, spikes_BTCHW), network.shapes, strict=False):
        found = layer_states(state.layer, state.inputs_BTN, shape, input_max)
        input_max = 1
        np.testing.assert_array_equal(found.spikes_BTN, state.spikes_BTN)
        vth: Any = state.layer.neuron.threshold
        if state.layer.threshold_N is not None:
            vth = state.layer.threshold_N
        np.testing.assert_array_equal(found.before_BTN > vth, state.spikes_BTN > 0)
        left = found.before_BTN - vth if state.layer.neuron.reset == "subtract" else 0
        after = np.where(state.spikes_BTN > 0, left, found.before_BTN)
        np.testing.assert_array_equal(after * 64, state.membranes_BTN)


@given(cases())
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_membranes_before_the_reset_explain_every_spike(case: Case) -> None:
    assume(within_limits(case[0]))
    check_fixed(case)


def test_recurrence_delays_and_subtractive_reset() -> None:
    network = late_network()
    rng = np.random.default_rng(0)
    shape = (4, network.steps, *network.input_shape)
    check_fixed((network, (rng.random(shape) < 0.6).astype(np.uint8)))


def test_all_that_a_layer_may_have() -> None:
    for seed in range(40):
        network, spikes_BTCHW = feature_case(seed)
        if fits_32_bits(network):
            check_fixed((network, spikes_BTCHW))


def test_the_drive_is_what_the_first_step_of_a_membrane_holds() -> None:
    network, rng = late_network(), np.random.default_rng(1)
    spikes = (rng.random((3, network.steps, *network.input_shape)) < 0.6).astype(np.uint8)
    for state, shape in zip(fixed_states(network, spikes), network.shapes, strict=False):
        found = layer_states(state.layer, state.inputs_BTN, shape, 1)
        np.testing.assert_array_equal(found.drive_BTN[:, 0], found.before_BTN[:, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_float_layer_is_that_of_the_whole_network(dtype: type) -> None:
    network = float_network("membrane", dtype)
    rng = np.random.default_rng(2)
    shape = (1, network.steps, *network.input_shape)
    spikes = rng.integers(0, network.input_max + 1, shape).astype(np.uint8)
    trace = run_float(network, spikes)
    inputs, input_max = spikes.reshape(1, network.steps, -1), network.input_max
    for layer, given_shape in zip(network.layers, network.shapes, strict=False):
        found = layer_states(layer, inputs, given_shape, input_max)
        np.testing.assert_array_equal(found.spikes_BTN, trace.spikes_BTN[layer.name])
        np.testing.assert_array_equal(found.before_BTN[:, 0], found.drive_BTN[:, 0])
        inputs, input_max = found.spikes_BTN, 1
    np.testing.assert_array_equal(found.before_BTN, trace.membranes_BTN)


def test_dead_neurons_take_nothing() -> None:
    network = late_network()
    layer = dataclasses.replace(
        network.layers[2], alive_N=np.array([0, 1, 1]), dendrite_delay_N=None
    )
    inputs = np.ones((1, 4, 5), np.uint8)
    found = layer_states(layer, inputs, (5,), 1)
    assert not found.drive_BTN[..., 0].any()
    assert not found.before_BTN[..., 0].any()
    assert found.drive_BTN[..., 1:].any()
