"""The parts of a layer, put together, are the layer: spikes, currents and membranes, to the bit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Array, Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from export.neurons import NO_CURRENT
from hardware.loihi_cost.chip import Limits
from hardware.loihi_cost.cut import Load
from hardware.loihi_cost.mapping import Mapping, place_network
from hardware.loihi_cost.split import Part, split_layer, split_network
from hardware.reference import FixedStates, fixed_states
from tests.conformance.feature_networks import FEATURES, feature_case

STATES = ("spikes_BTN", "currents_BTN", "membranes_BTN")
PLENTY = 1 << 20


def faulty(network: FixedPointNetwork, random: np.random.Generator) -> FixedPointNetwork:
    """Give some layers thresholds of each neuron's own, and, where nothing recurs, dead neurons."""
    layers = []
    for layer, shape in zip(network.layers, network.shapes[1:], strict=True):
        size = int(np.prod(shape))
        if random.random() < 0.3:
            layer = replace(layer, threshold_N=random.integers(0, 3000, size))
        if random.random() < 0.3 and layer.recurrent is None:
            layer = replace(layer, alive_N=random.integers(0, 2, size))
        layers.append(layer)
    return replace(network, layers=tuple(layers))


def run_part(part: Part, inputs_BTI: Array, spikes_BTN: Array, input_max: int) -> FixedStates:
    """Run one part with the reference, as the only layer of a network."""
    arriving_BTK = part.arriving(inputs_BTI, spikes_BTN).astype(np.uint8)
    batch, steps, read = arriving_BTK.shape
    alone = FixedPointNetwork((1, 1, read), (part.layer,), "count", steps, 1.0, (), input_max)
    (state,) = fixed_states(alone, arriving_BTK.reshape(batch, steps, 1, 1, read))
    return state


def run_together(parts: tuple[Part, ...], whole: FixedStates, input_max: int) -> dict[str, Array]:
    """Run all parts, which hear of each other's spikes alone, and put their states together.

    Spikes of the steps before t settle those of step t, so a pass a step closes the loop.
    """
    shape = whole.spikes_BTN.shape
    together: dict[str, NDArray[Any]] = {key: np.full(shape, -1, np.int32) for key in STATES}
    spikes_BTN = np.zeros(shape, np.uint8)
    for _ in range(shape[1] if any(len(part.own_K) for part in parts) else 1):
        for part in parts:
            state = run_part(part, whole.inputs_BTN, spikes_BTN, input_max)
            for key in STATES:
                together[key][..., part.neurons_N] = getattr(state, key)
        spikes_BTN = together["spikes_BTN"].astype(np.uint8)
    return together


def hold_to_limits(part: Part, load: Load, placed: Mapping, index: int, limits: Limits) -> None:
    """Count what a part takes of a core anew, from its weights and where its spikes go."""
    neurons, reads = part.layer.synapse.weight.shape
    assert 0 < neurons <= limits.compartments
    assert len(part.inputs_J) + len(part.own_K) == reads == load.input_axons <= limits.input_axons
    above = index + 1 < len(placed.connections)
    onwards = placed.connections[index + 1] if above else None
    words, edges, first = 0, 0, len(part.inputs_J)
    for links, columns in (
        (placed.connections[index], slice(0, first)),
        (placed.recurrent[index], slice(first, reads)),
    ):
        if links is not None:
            weight_OK = part.layer.synapse.weight[:, columns]
            stored_OK = np.ones_like(weight_OK) if links.format == "dense" else weight_OK != 0
            assert (stored_OK.sum(axis=0) > 0).all()
            words += int((-(-stored_OK.sum(axis=0) * links.synapse_bits // 64)).sum())
    assert words == load.synapse_words <= limits.synapse_words
    for links, layer in ((placed.recurrent[index], index + 1), (onwards, index + 2)):
        if links is not None:
            here_E = np.isin(links.sources_E, part.neurons_N)
            cores_E = placed.core_of[layer][links.targets_E[here_E]]
            edges += len(set(zip(links.sources_E[here_E].tolist(), cores_E.tolist(), strict=True)))
    assert edges == load.output_axons <= limits.output_axons


def hold_to_the_layers(
    network: FixedPointNetwork, spikes_BTCHW: NDArray[np.uint8], limits: Limits
) -> list[int]:
    """Cut every layer and hold its parts to it; return how many there are."""
    placed, counts, largest = place_network(network, limits), list[int](), network.input_max
    each = zip(fixed_states(network, spikes_BTCHW), split_network(network, limits), strict=True)
    for index, (whole, parts) in enumerate(each):
        held_N = np.concatenate([part.neurons_N for part in parts])
        assert sorted(held_N.tolist()) == list(range(whole.spikes_BTN.shape[-1]))
        for part, load in zip(parts, placed.of_layer(index + 1), strict=True):
            hold_to_limits(part, load, placed, index, limits)
        together = run_together(parts, whole, largest)
        for key in STATES:
            np.testing.assert_array_equal(together[key], getattr(whole, key), key)
        counts.append(len(parts))
        largest = 1
    return counts


@st.composite
def limits_for(draw: st.DrawFn, network: FixedPointNetwork) -> Limits:
    """Draw limits that each neuron alone keeps, often below what whole layers take."""
    alone = place_network(network, Limits(1, PLENTY, PLENTY, PLENTY)).cores
    wholes = place_network(network, Limits(PLENTY, PLENTY, PLENTY, PLENTY)).wholes
    drawn = {"compartments": draw(st.integers(1, max(len(one.neurons_N) for one in wholes)))}
    for key in ("input_axons", "output_axons", "synapse_words"):
        least, most = (max(getattr(one, key) for one in of) for of in (alone, wholes))
        drawn[key] = max(1, draw(st.integers(least, max(least, most))))
    return Limits(**drawn)


@settings(max_examples=70, deadline=None)
@given(st.data(), st.integers(0, 500))
def test_parts_are_the_layer(data: st.DataObject, seed: int) -> None:
    network, spikes_BTCHW = feature_case(seed)
    network = faulty(network, np.random.default_rng(seed))
    counts = hold_to_the_layers(network, spikes_BTCHW, data.draw(limits_for(network)))
    event(f"parts: {min(max(counts), 4)}")


def test_layers_with_every_feature_are_cut() -> None:
    cut = dict.fromkeys((*FEATURES, "faulty", "current", "conv"), 0)
    for seed in range(45):
        network, spikes_BTCHW = feature_case(seed)
        network = faulty(network, np.random.default_rng(seed))
        counts = hold_to_the_layers(network, spikes_BTCHW, Limits(compartments=2))
        for layer, parts in zip(network.layers, counts, strict=True):
            there = {
                "faulty": layer.is_faulty,
                "current": layer.neuron.current_decay != NO_CURRENT,
                "conv": isinstance(layer.synapse, Conv),
            }
            for name in (*layer.features, *(key for key, found in there.items() if found)):
                cut[name] += parts > 1
    assert min(cut.values()) >= 5, cut


def test_parts_of_a_convolution_are_its_positions_with_all_channels() -> None:
    """Two channels over a row of four: two positions a core, three inputs each."""
    weight = np.array([2, 4, 6, 8]).reshape(2, 1, 1, 2)
    layer = Layer("conv", Conv(weight, np.array([1, -1])), LoihiLIF(0, 9))
    network = FixedPointNetwork((1, 1, 5), (layer,), "count", steps=2, dt=1.0)
    ((left, right),) = split_network(network, Limits(compartments=4))
    assert left.neurons_N.tolist() == [0, 4, 1, 5]
    assert right.neurons_N.tolist() == [2, 6, 3, 7]
    assert (left.inputs_J.tolist(), right.inputs_J.tolist()) == ([0, 1, 2], [2, 3, 4])
    for part in (left, right):
        expected = [[2, 4, 0], [6, 8, 0], [0, 2, 4], [0, 6, 8]]
        np.testing.assert_array_equal(part.layer.synapse.weight, expected)
        np.testing.assert_array_equal(part.layer.synapse.bias_O, [1, -1, 1, -1])
        assert part.own_K.tolist() == []
    assert [part.layer.name for part in (left, right)] == ["conv.0", "conv.1"]


def test_a_part_of_a_convolution_is_no_larger_than_what_a_core_holds() -> None:
    """A kernel over 300 × 300 pixels: a core's positions, not the matrix of 90,000 × 90,000."""
    layer = Layer("conv", Conv(np.full((1, 1, 3, 3), 2), None, (8, 8), (1, 1)), LoihiLIF(0, 9))
    network = FixedPointNetwork((1, 300, 300), (layer,), "count", steps=1, dt=1.0)
    (parts,) = split_network(network)
    assert len(parts) == 4
    assert all(part.layer.synapse.weight.size <= 1024 * 4096 for part in parts)


def test_neurons_that_are_missing_or_twice_in_the_parts_are_refused() -> None:
    layer = Layer("wide", Dense(np.full((4, 2), 2)), LoihiLIF(0, 1))
    for neurons in ([[0, 1], [2]], [[0, 1], [1, 2, 3]]):
        with pytest.raises(HardspikeError, match="layer wide: parts: found"):
            list(split_layer(layer, (2,), [np.array(part) for part in neurons]))
