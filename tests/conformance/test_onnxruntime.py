"""Both ONNX forms equal the reference at every step, to the bit."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from numpy.typing import NDArray

from export.bounds import current_wraps, membrane_clips
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF, Readout
from export.onnx_model import write_sequence, write_step
from hardware.onnxruntime_cpu import OnnxRuntimeSequence, OnnxRuntimeStep
from hardware.reference import loihi_neurons, run_fixed
from tests.conformance.random_networks import Case, cases, within_limits


def _compare(network: FixedPointNetwork, spikes_BTCHW: NDArray[Any]) -> None:
    trace = run_fixed(network, spikes_BTCHW)
    expected = trace.last if network.readout == "count" else trace.membranes_BTN
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_sequence(network, folder / "model.sequence.onnx")
        write_step(network, folder / "model.step.onnx")
        sequence = OnnxRuntimeSequence(1).run(folder, spikes_BTCHW, record_layers=True)
        step = OnnxRuntimeStep(1).run(folder, spikes_BTCHW)
    np.testing.assert_array_equal(sequence.outputs_BTN, expected)
    np.testing.assert_array_equal(step.outputs_BTN, expected)
    assert list(sequence.layers_BTN) == list(trace.spikes_BTN)
    for key, value in sequence.layers_BTN.items():
        np.testing.assert_array_equal(value, trace.spikes_BTN[key])


@given(cases())
@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_random_networks_equal_the_reference(case: Case) -> None:
    network, spikes_BTCHW = case
    assume(within_limits(network))
    for index, layer in enumerate(network.layers):
        input_max = 1 if index else network.input_max
        event(f"may wrap: {current_wraps(layer, input_max)}")
        event(f"may clip: {membrane_clips(layer, input_max)}")
    _compare(network, spikes_BTCHW)


@pytest.mark.parametrize("readout", ["count", "membrane"])
@pytest.mark.parametrize("current_decay", [4095, 1000, 0])
@pytest.mark.parametrize("weight", [254, -256])
def test_wraps_and_clips_that_do_happen(readout: Readout, current_decay: int, weight: int) -> None:
    """722 saturated inputs: |Σ w·s| << 6 lies beyond 2^23, and what is left of it adds up."""
    weight_OI = np.full((3, 722), weight)
    weight_OI[1, :600] = 0
    weight_OI[2, 300:] = 0
    bias_O = np.array([4095, -4096, -4096 if weight < 0 else 4095])
    neuron = LoihiLIF(membrane_decay=1, threshold=131071, current_decay=current_decay)
    layer = Layer("wide", Dense(weight_OI, bias_O), neuron)
    network = FixedPointNetwork((2, 19, 19), (layer,), readout, 12, 0.01)
    spikes_BTCHW = np.ones((2, 12, 2, 19, 19), np.uint8)
    sums = weight_OI.sum(axis=1)
    assert (np.abs(sums) << 6).max() > 1 << 23
    wide = run_fixed(network, spikes_BTCHW).membranes_BTN
    if weight < 0:
        assert (wide == 1 - (1 << 23)).any()
    _compare(network, spikes_BTCHW)


def test_a_raised_threshold_hides_the_upper_clip() -> None:
    """v at 2^23 − 1 lies above vth << 6 at its largest, so a clip above is never seen."""
    activation_BTN = np.full((1, 20, 1), 100_000)
    spikes, membranes = loihi_neurons(activation_BTN, 0, LoihiLIF(0, 131071))
    assert membranes.max() <= 131071 << 6
    assert spikes.any()


@pytest.mark.parametrize("input_max", [127, 128, 255])
def test_counts_at_their_limit_are_exact(input_max: int) -> None:
    """Neighbouring products of 127 and −128 by 127 just fit 16 bits; above, float32 takes over."""
    weight_OI = np.array([[254, 254, -256, -256] * 8, [-256, -256, 254, 254] * 8])
    layer = Layer("dense", Dense(weight_OI), LoihiLIF(100, 131071))
    network = FixedPointNetwork((2, 4, 4), (layer,), "membrane", 3, 0.01, input_max=input_max)
    rng = np.random.default_rng(0)
    spikes_BTCHW = rng.choice(np.array([0, input_max], np.uint8), (8, 3, 2, 4, 4))
    _compare(network, spikes_BTCHW)
