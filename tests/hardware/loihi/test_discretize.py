"""Loihi's integers from float weights, by hand and against an independent calculation."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import (
    LIF,
    READOUTS,
    Conv,
    Dense,
    HardSpikeNetwork,
    Layer,
    LoihiLIF,
    Readout,
)
from hardware.loihi.discretize import discretize, scale_facts
from hardware.loihi.layer_integers import Demands, at_largest_weight, with_numbers
from hardware.membrane_error import InputStatistics, damped, input_statistics, relative_error
from hardware.reference import run_float


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


def _recorded(
    seed: int, bias: bool, readout: Readout = "count", outliers: float = 0.0
) -> tuple[HardSpikeNetwork, NDArray[np.uint8]]:
    """A convolution and a dense layer, and recordings that make both fire."""
    random = np.random.default_rng(seed)
    weights = [random.normal(size=(4, 2, 3, 3)) * 0.5, random.normal(size=(5, 4 * 4 * 3)) * 0.3]
    for weight in weights:
        weight[random.random(weight.shape) < outliers] *= 4
    biases = [random.normal(size=len(weight)) * 0.1 if bias else None for weight in weights]
    last = LIF(0.8, 1.0 if readout == "count" else math.inf)
    layers = (
        Layer("conv1", Conv(weights[0], biases[0]), LIF(0.9, 1.0)),
        Layer("dense2", Dense(weights[1], biases[1]), last),
    )
    network = HardSpikeNetwork((2, 6, 5), layers, readout, 6, 0.01)
    return network, (random.random((12, 6, 2, 6, 5)) < 0.3).astype(np.uint8)


def _errors(
    network: HardSpikeNetwork,
    layers: Sequence[Layer[LoihiLIF]],
    statistics: Sequence[InputStatistics],
) -> list[float]:
    """The error that scale and rounding are chosen by, layer by layer."""
    found = []
    for layer, integers, shown in zip(network.layers, layers, statistics, strict=True):
        assert shown.gram_JJ is not None
        found.append(relative_error(layer, integers, damped(shown.gram_JJ)))
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.integers(2, 8),
    bias=st.booleans(),
    readout=st.sampled_from(READOUTS),
    outliers=st.sampled_from((0.0, 0.05)),
)
@settings(max_examples=40, deadline=None)
def test_recordings_lower_the_membrane_error_within_the_registers(
    seed: int, bits: int, bias: bool, readout: Readout, outliers: float
) -> None:
    """The largest-weight scale, a better one, and better rounding under it: each error at most the
    one before; `discretize` has checked every register."""
    network, spikes = _recorded(seed, bias, readout, outliers)
    largest = 0.0
    if readout == "membrane":
        largest = float(np.abs(run_float(network, spikes).membranes_BTN).max())
    statistics = input_statistics(network, spikes)
    usual = [at_largest_weight(layer, Demands(bits, 1, largest)) for layer in network.layers]
    scaled = discretize(network, bits, largest, statistics, rounding="nearest").layers
    rounded = discretize(network, bits, largest, statistics).layers
    errors = [_errors(network, layers, statistics) for layers in (usual, scaled, rounded)]
    for before, between, after in zip(*errors, strict=True):
        assert after <= between <= before
    for layer in rounded:
        assert (layer.synapse.weight % (1 << (9 - bits)) == 0).all()
    if readout == "membrane":
        assert rounded[-1].scale * largest * 4 <= 131071 * (1 + 1e-12)


def test_outliers_are_clipped_where_bits_are_few() -> None:
    network, spikes = _recorded(8, bias=True, outliers=0.03)
    statistics = input_statistics(network, spikes)
    fixed = discretize(network, 3, 0.0, statistics)
    conv, dense = scale_facts(network, fixed, 3, 0.0, statistics)
    assert (conv["layer"], dense["layer"]) == ("conv1", "dense2")
    assert dense["scale"] > 1.5 * dense["largest_weight_scale"]
    assert 0 < dense["clipped"] < 0.2
    for entry in (conv, dense):
        assert entry["membrane_error"] < entry["largest_weight_error"] / 1.5


@given(
    seed=st.integers(0, 2**32 - 1),
    grid_bits=st.integers(2, 6),
    spare_bits=st.integers(0, 2),
    spacing=st.floats(1e-3, 0.1),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_weights_that_lie_on_a_grid_are_met_exactly(
    seed: int, grid_bits: int, spare_bits: int, spacing: float
) -> None:
    """Float32 multiples of a spacing, as quantisation-aware training leaves them, the grid's ends
    not always among them: the integers are proportional to the multiples.

    Not in every case there is: seed 1029591, 6 + 1 bits and a spacing of 0.005102727 get another
    scale.
    """
    random = np.random.default_rng(seed)
    network, spikes = _recorded(seed, bias=False)
    ends = -(1 << (grid_bits - 1)), 1 << (grid_bits - 1)
    multiples = [random.integers(*ends, layer.synapse.weight.shape) for layer in network.layers]
    layers = tuple(
        replace(layer, synapse=with_numbers(layer.synapse, np.float32(spacing) * on_grid, None))
        for layer, on_grid in zip(network.layers, multiples, strict=True)
    )
    gridded = replace(network, layers=layers)
    fixed = discretize(gridded, grid_bits + spare_bits, 0.0, input_statistics(gridded, spikes))
    for on_grid, layer in zip(multiples, fixed.layers, strict=True):
        found, largest = layer.synapse.weight, np.unravel_index(on_grid.argmin(), on_grid.shape)
        np.testing.assert_array_equal(found * on_grid[largest], on_grid * found[largest])


def test_without_recordings_nothing_is_clipped_and_facts_have_no_error() -> None:
    network, _ = _recorded(7, bias=True)
    fixed = discretize(network, 4)
    for entry in scale_facts(network, fixed, 4):
        assert entry["scale"] == entry["largest_weight_scale"]
        assert entry["clipped"] == 0
        assert entry["membrane_error"] is None


def test_a_layer_too_wide_for_statistics_keeps_the_largest_weight_scale() -> None:
    network, spikes = _recorded(8, bias=True)
    shown = input_statistics(network, spikes)
    statistics = (InputStatistics(None, shown[0].largest_drive), shown[1])
    plain, fixed = discretize(network, 3), discretize(network, 3, 0.0, statistics)
    assert fixed.layers[0].scale == plain.layers[0].scale
    np.testing.assert_array_equal(fixed.layers[0].synapse.weight, plain.layers[0].synapse.weight)
    assert fixed.layers[1].scale != plain.layers[1].scale


def test_a_strong_drive_keeps_the_scale_from_rising() -> None:
    """The largest drive seen, times k and four, stays below the current's wrap at 2^17."""
    network, spikes = _recorded(6, bias=False, outliers=0.03)
    shown = input_statistics(network, spikes)
    usual = at_largest_weight(network.layers[1], Demands(3, 1, 0.0)).scale
    free = discretize(network, 3, 0.0, shown).layers[1].scale
    bound = (usual + free) / 2
    strong = [shown[0], InputStatistics(shown[1].gram_JJ, (1 << 17) / (4 * bound))]
    held = discretize(network, 3, 0.0, strong).layers[1].scale
    assert usual <= held <= bound < free
