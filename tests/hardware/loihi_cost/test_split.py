"""The parts of a layer, put together, are the layer: spikes, currents and membranes, to the bit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Array, Dense, FixedPointNetwork, Layer, LoihiLIF
from hardware.loihi_cost import chip
from hardware.loihi_cost.chip import Limits
from hardware.loihi_cost.mapping import Mapping, place_network
from hardware.loihi_cost.split import Part, split_layer, split_network
from hardware.reference import FixedStates, fixed_states
from tests.conformance.feature_networks import FEATURES, feature_case

STATES = ("spikes_BTN", "currents_BTN", "membranes_BTN")
PLENTY = 1 << 20
SEEN: set[str] = set()


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


def hold_to_limits(part: Part, placed: Mapping, index: int, limits: Limits) -> None:
    """Count what a part takes of a core anew, from its weights and where its spikes go."""
    neurons, reads = part.layer.synapse.weight.shape
    own = placed.recurrent[index]
    assert reads == len(part.inputs_J) + len(part.own_K) <= limits.input_axons
    assert 0 < neurons <= limits.compartments
    words = 0
    links_of = ((0, placed.connections[index]), (len(part.inputs_J), own))
    for first, links in links_of:
        if links is None:
            continue
        end = len(part.inputs_J) if first == 0 and links is not own else reads
        weight_OK = part.layer.synapse.weight[:, first:end]
        stored_K = (
            neurons + 0 * weight_OK[0] if links.format == "dense" else (weight_OK != 0).sum(0)
        )
        assert (stored_K > 0).all()
        words += sum(-(-int(count) * links.synapse_bits // 64) for count in stored_K)
    assert words <= limits.synapse_words
    edges = set()
    to = [(own, index + 1)]
    if index + 1 < len(placed.connections):
        to.append((placed.connections[index + 1], index + 2))
    for links, layer in to:
        if links is not None:
            here_E = np.isin(links.sources_E, part.neurons_N)
            cores_E = placed.core_of[layer][links.targets_E[here_E]]
            pairs = zip(links.sources_E[here_E].tolist(), cores_E.tolist(), strict=True)
            edges |= {(layer, *pair) for pair in pairs}
    assert len(edges) <= limits.output_axons


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


@settings(max_examples=120, deadline=None)
@given(st.data(), st.integers(0, 10_000))
def test_parts_are_the_layer(data: st.DataObject, seed: int) -> None:
    network, spikes_BTCHW = feature_case(seed)
    network = faulty(network, np.random.default_rng(seed))
    limits = data.draw(limits_for(network))
    placed = place_network(network, limits)
    largest, cut = network.input_max, 0
    each = zip(fixed_states(network, spikes_BTCHW), split_network(network, limits), strict=True)
    for index, (whole, parts) in enumerate(each):
        held = np.concatenate([part.neurons_N for part in parts])
        assert sorted(held.tolist()) == list(range(whole.spikes_BTN.shape[-1]))
        for part in parts:
            hold_to_limits(part, placed, index, limits)
        together = run_together(parts, whole, largest)
        for key in STATES:
            np.testing.assert_array_equal(together[key], getattr(whole, key), key)
        largest, cut = 1, max(cut, len(parts))
    event(f"parts: {min(cut, 4)}")
