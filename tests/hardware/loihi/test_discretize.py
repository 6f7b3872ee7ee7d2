"""Loihi's integers from float weights, by hand and against an independent calculation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.network import LIF, Conv, Dense, HardSpikeNetwork, Layer, Readout
from hardware.loihi.discretize import discretize


def one_layer(
    weight: list[list[float]],
    bias: list[float] | None = None,
    neuron: LIF | None = None,
    readout: Readout = "count",
) -> HardSpikeNetwork:
    synapse = Dense(np.array(weight), None if bias is None else np.array(bias))
    layer = Layer("dense1", synapse, neuron or LIF(0.75, 1.0))
    return HardSpikeNetwork((1, 1, len(weight[0])), (layer,), readout, 4, 0.01)


def test_a_layer_by_hand() -> None:
    """k = 254/0.5 = 508: weights 254, −127 → −128 (steps of 2, halves to even), ϑ 508."""
    fixed = discretize(one_layer([[0.5, -0.25], [0.1, 0.0]], [0.01, -0.5]))
    layer = fixed.layers[0]
    assert layer.scale == 508
    assert layer.synapse.weight.tolist() == [[254, -128], [50, 0]]
    assert layer.synapse.bias_O is not None
    assert layer.synapse.bias_O.tolist() == [5, -254]
    assert layer.neuron.threshold == 508
    assert layer.neuron.membrane_decay == 1024
    assert layer.neuron.current_decay == 4095


@pytest.mark.parametrize(("bits", "weights"), [(8, [254, -84]), (4, [224, -64]), (2, [128, 0])])
def test_fewer_bits_drop_the_low_ones(bits: int, weights: list[int]) -> None:
    fixed = discretize(one_layer([[0.3, -0.1]]), bits)
    assert fixed.layers[0].synapse.weight.tolist() == [weights]
    assert all(weight % (1 << (9 - bits)) == 0 for weight in weights)


def test_a_large_bias_sets_the_scale() -> None:
    fixed = discretize(one_layer([[0.5]], [50.0]))
    assert fixed.layers[0].scale == 4095 / 50
    assert fixed.layers[0].synapse.bias_O is not None
    assert fixed.layers[0].synapse.bias_O.tolist() == [4095]


def test_a_membrane_readout_gets_the_largest_threshold_and_a_margin_below_it() -> None:
    never = LIF(0.75, math.inf)
    wide = discretize(one_layer([[0.5]], neuron=never, readout="membrane"), 8, 1.0)
    assert (wide.layers[0].scale, wide.layers[0].neuron.threshold) == (508, 131071)
    tight = discretize(one_layer([[0.5]], neuron=never, readout="membrane"), 8, 1000.0)
    assert tight.layers[0].scale == 131071 / 4000


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (one_layer([[0.0, 0.0]]), "layer dense1: all weights are zero"),
        (one_layer([[math.nan]]), "not finite"),
        (one_layer([[1e-3]], neuron=LIF(0.9, 1e6)), r"threshold \(up to 131071\)"),
        (one_layer([[1e-9]], [1.0]), r"bias mantissa \(up to 4095\)"),
        (one_layer([[0.5]], neuron=LIF(1e-5, 1.0)), "dv 4096"),
        (one_layer([[-0.5, 0.0]]), "loader"),
    ],
)
def test_what_cannot_be_represented_is_named(network: HardSpikeNetwork, part: str) -> None:
    if part == "loader":
        assert discretize(network).layers[0].synapse.weight.tolist() == [[-254, 0]]
        return
    with pytest.raises(HardspikeError, match=part):
        discretize(network)


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(2, 8), gain=st.floats(1e-3, 1e3))
@settings(max_examples=60, deadline=None)
def test_rounding_moves_no_weight_by_more_than_half_a_step(
    seed: int, bits: int, gain: float
) -> None:
    generator = np.random.default_rng(seed)
    weight = generator.normal(size=(3, 2, 3, 3)) * gain
    layer = Layer("conv1", Conv(weight, generator.normal(size=3) * gain), LIF(0.9, gain))
    network = HardSpikeNetwork((2, 5, 5), (layer,), "count", 4, 0.01)
    fixed = discretize(network, bits).layers[0]
    step = 1 << (9 - bits)
    error = np.abs(fixed.synapse.weight - weight * fixed.scale)
    assert error.max() <= step / 2 + 1e-9
    assert np.abs(fixed.synapse.weight).max() == 256 - step
    assert abs(fixed.neuron.threshold - gain * fixed.scale) <= 0.5


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(2, 8))
@settings(max_examples=20, deadline=None)
def test_wide_layers_over_counts_stay_inside_the_accumulator(seed: int, bits: int) -> None:
    weight = np.random.default_rng(seed).uniform(-1, 1, (8, 2312))
    layer = Layer("dense1", Dense(weight), LIF(0.9, 1.0))
    network = HardSpikeNetwork((2, 34, 34), (layer,), "count", 4, 0.01, input_max=255)
    try:
        fixed = discretize(network, bits).layers[0].synapse.weight
    except HardspikeError as error:
        assert "rounds to zero" in str(error)  # noqa: PT017
        return
    assert np.abs(fixed).sum(axis=1).max() * 255 <= (1 << 23) - 1
