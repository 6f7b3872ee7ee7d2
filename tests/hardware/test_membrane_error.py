"""The quadratic form against neurons that are simulated step by step."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.network import LIF, Conv, Dense, HardSpikeNetwork, Layer, LoihiLIF, Synapse
from hardware import membrane_error
from hardware.arriving import neuron_bias, synapse_product
from hardware.membrane_error import (
    error_terms,
    input_statistics,
    mean_square_error,
    relative_error,
)
from hardware.reference import float_layer, run_float
from tests.export.networks import alike

Random = np.random.Generator


def _synapse(random: Random, bias: bool, shape: tuple[int, ...]) -> Synapse:
    """A dense layer, or a convolution that is square in nothing."""
    biases = random.normal(size=3) if bias else None
    if len(shape) == 1:
        return Dense(random.normal(size=(3, shape[0])), biases)
    stride, padding = random.integers(1, 3, 2), random.integers((0, 1), 3)
    weight = random.normal(size=(3, shape[0], 2, 3))
    return Conv(
        weight, biases, (int(stride[0]), int(stride[1])), (int(padding[0]), int(padding[1]))
    )


def _network(random: Random, bias: bool, conv: bool, input_max: int) -> HardSpikeNetwork:
    """Two layers, so that the second sees the first one's spikes."""
    shape = (2, 4, 5)
    first = _synapse(random, bias, shape if conv else (40,))
    given = first.output_shape(shape)
    second = _synapse(random, bias, given if conv else (math.prod(given),))
    layers = (
        Layer("first", first, LIF(float(random.uniform(0.3, 1)), 1.5)),
        Layer("second", second, LIF(float(random.uniform(0.3, 1)), 0.7)),
    )
    return HardSpikeNetwork(shape, layers, "count", 6, 0.01, input_max=input_max)


def _integers(random: Random, layer: Layer[LIF]) -> Layer[LoihiLIF]:
    """Any integers at all: the form is exact for every candidate."""
    synapse, scale = layer.synapse, 50.0
    weight = random.integers(-100, 100, synapse.weight.shape)
    bias = None if synapse.bias_O is None else random.integers(-100, 100, len(weight))
    moved: Synapse = (
        Conv(weight, bias, synapse.stride, synapse.padding)
        if isinstance(synapse, Conv)
        else Dense(weight, bias)
    )
    return Layer(layer.name, moved, LoihiLIF(0, int(random.integers(20, 90))), scale)


def _membranes(layer: Layer[Any], scale: float, x_BTN: Any, shape: tuple[int, ...]) -> Any:
    """Membranes of neurons that never fire, in float units, `(B, T, N)`."""
    drive = synapse_product(layer.synapse, x_BTN, shape, np.float64) / scale
    bias = neuron_bias(layer.synapse, drive.shape[-1]) / scale
    return lambda decay: float_layer(drive, bias, alike(drive.shape[-1], LIF(decay, math.inf)))[1]


@given(
    seed=st.integers(0, 2**32 - 1),
    bias=st.booleans(),
    conv=st.booleans(),
    input_max=st.sampled_from((1, 255)),
)
@settings(max_examples=60, deadline=None)
def test_the_form_is_the_error_of_simulated_neurons(
    seed: int, bias: bool, conv: bool, input_max: int
) -> None:
    random = np.random.default_rng(seed)
    network = _network(random, bias, conv, input_max)
    shape = (3, network.steps, *network.input_shape)
    events = random.random(shape) < 0.3
    spikes = (events * random.integers(1, input_max + 1, shape)).astype(np.uint8)
    inputs = [spikes.reshape(3, network.steps, -1), *run_float(network, spikes).spikes_BTN.values()]
    for layer, given_shape, x_BTN, shown in zip(
        network.layers,
        network.shapes,
        inputs,
        input_statistics(network, spikes),
        strict=False,
    ):
        fixed, decay = _integers(random, layer), layer.neuron.decay
        exact = _membranes(layer, 1.0, x_BTN, given_shape)(decay)
        moved = _membranes(fixed, fixed.scale, x_BTN, given_shape)(decay)
        error_BTN = moved - exact - (fixed.neuron.threshold / fixed.scale - layer.neuron.threshold)
        by_output = (error_BTN**2).reshape(3, network.steps, len(layer.synapse.weight), -1)
        expected_O = by_output.mean(axis=(0, 1, 3))
        assert shown.gram_JJ is not None
        found_O = mean_square_error(error_terms(layer, fixed), shown.gram_JJ)
        np.testing.assert_allclose(found_O, expected_O, rtol=1e-9, atol=1e-12)
        drive = synapse_product(layer.synapse, x_BTN, given_shape, np.float64)
        assert shown.largest_drive == pytest.approx(np.abs(drive).max(), rel=1e-12)


def test_blocks_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    network = _network(random, bias=True, conv=True, input_max=1)
    spikes = (random.random((5, 6, 2, 4, 5)) < 0.4).astype(np.uint8)
    whole = input_statistics(network, spikes)
    monkeypatch.setattr(membrane_error, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(membrane_error, "chunk_size", lambda _: 2)
    for one, other in zip(whole, input_statistics(network, spikes), strict=True):
        assert one.gram_JJ is not None
        assert other.gram_JJ is not None
        np.testing.assert_allclose(one.gram_JJ, other.gram_JJ, rtol=1e-12)
        assert one.largest_drive == other.largest_drive


def test_a_layer_too_wide_has_no_gram_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    network = _network(random, bias=False, conv=False, input_max=1)
    monkeypatch.setattr(membrane_error, "WIDEST", 39)
    first, second = input_statistics(network, np.ones((1, 6, 2, 4, 5), np.uint8))
    assert first.gram_JJ is None
    assert first.largest_drive > 0
    assert second.gram_JJ is not None


def test_two_steps_by_hand() -> None:
    """τ = 1/2, x = 1, 1: z = 1, 3/2. Ŵ − W = 1/4, ϑ̂ − ϑ = 0: errors 1/4 and 3/8."""
    layer = Layer("one", Dense(np.array([[0.25]])), LIF(0.5, 1.0))
    network = HardSpikeNetwork((1, 1, 1), (layer,), "count", 2, 0.01)
    (shown,) = input_statistics(network, np.ones((1, 2, 1, 1, 1), np.uint8))
    fixed = Layer("one", Dense(np.array([[2]])), LoihiLIF(2048, 4), scale=4.0)
    assert shown.gram_JJ is not None
    mean = (0.25**2 + 0.375**2) / 2
    assert mean_square_error(error_terms(layer, fixed), shown.gram_JJ) == pytest.approx([mean])
    assert relative_error(layer, fixed, shown.gram_JJ) == pytest.approx(math.sqrt(mean))


def test_a_readout_without_threshold_is_measured_by_its_own_membrane() -> None:
    """W = 1/4 and Ŵ = 1/2: an error as large as the membrane itself."""
    layer = Layer("one", Dense(np.array([[0.25]])), LIF(0.5, math.inf))
    network = HardSpikeNetwork((1, 1, 1), (layer,), "membrane", 2, 0.01)
    (shown,) = input_statistics(network, np.ones((1, 2, 1, 1, 1), np.uint8))
    fixed = Layer("one", Dense(np.array([[2]])), LoihiLIF(2048, 131071), scale=4.0)
    assert shown.gram_JJ is not None
    assert relative_error(layer, fixed, shown.gram_JJ) == pytest.approx(1.0)
