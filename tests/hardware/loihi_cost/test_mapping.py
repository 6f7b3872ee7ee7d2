"""No core over any limit, every neuron once, and refusals that say what is needed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF
from hardware.loihi_cost import chip
from hardware.loihi_cost.chip import Limits
from hardware.loihi_cost.mapping import Mapping, map_network, place_network
from tests.hardware.loihi_cost import small

LIMITS = {
    "compartments": st.integers(3, 40),
    "input_axons": st.integers(40, 200),
    "output_axons": st.integers(60, 200),
    "synapse_words": st.integers(40, 120),
}


def check(mapping: Mapping, limits: Limits = chip.CORE) -> None:
    """Hold every core to the limits, its load counted anew from the synapses."""
    held = [np.concatenate([load.neurons_N for load in mapping.of_layer(k)]) for k in range(4)]
    for neurons_N, core_N in zip(held, mapping.core_of, strict=True):
        assert sorted(neurons_N.tolist()) == list(range(len(core_N)))
    for index, load in enumerate(mapping.cores):
        assert (mapping.core_of[load.layer][load.neurons_N] == index).all()
        assert 0 < len(load.neurons_N) <= limits.compartments
        lists: dict[int, int] = {}
        if load.layer:
            links = mapping.connections[load.layer - 1]
            here_E = np.isin(links.targets_E, load.neurons_N)
            for source in links.sources_E[here_E].tolist():
                lists[source] = lists.get(source, 0) + links.synapse_bits
        words = sum(-(-bits // chip.WORD_BITS) for bits in lists.values())
        assert (load.input_axons, load.synapse_words) == (len(lists), words)
        edges = set()
        if load.layer < 3:
            links = mapping.connections[load.layer]
            here_E = np.isin(links.sources_E, load.neurons_N)
            cores_E = mapping.core_of[load.layer + 1][links.targets_E[here_E]]
            edges = set(zip(links.sources_E[here_E].tolist(), cores_E.tolist(), strict=True))
        assert load.output_axons == len(edges)
        assert load.input_axons <= limits.input_axons
        assert load.output_axons <= limits.output_axons
        assert load.synapse_words <= limits.synapse_words


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from((0.0, 0.3, 1.0)), st.builds(Limits, **LIMITS))
def test_no_core_is_over_a_limit(seed: int, share: float, limits: Limits) -> None:
    check(place_network(small.network(seed, share), limits), limits)


def test_a_layer_that_fits_one_core_takes_one() -> None:
    mapping = map_network(small.network(3))
    assert [len(mapping.of_layer(layer)) for layer in range(4)] == [1, 1, 1, 1]
    assert mapping.tiles == 1
    check(mapping)


def one_dense(inputs: int, outputs: int, weight: int = 2, du: int = 4095) -> FixedPointNetwork:
    layer = Layer("wide", Dense(np.full((outputs, inputs), weight)), LoihiLIF(0, 1, du))
    return FixedPointNetwork((1, 1, inputs), (layer,), "count", steps=2, dt=0.01)


def test_a_neuron_with_more_inputs_than_a_core_has_axons_is_refused() -> None:
    with pytest.raises(HardspikeError) as caught:
        map_network(one_dense(4097, 3))
    expected = "layer wide: neuron 0 alone needs 4,097 input axons, a core has 4,096"
    assert str(caught.value) == expected
    map_network(one_dense(4096, 3))


def test_a_neuron_with_more_synapses_than_a_core_has_memory_is_refused() -> None:
    with pytest.raises(HardspikeError) as caught:
        map_network(one_dense(10, 1), Limits(synapse_words=9))
    assert "needs 10 words of 64 bits of synaptic memory, a core has 9" in str(caught.value)


def test_more_cores_than_the_chip_has_are_refused_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    network, limits = one_dense(6, 9), Limits(compartments=4)
    assert len(map_network(network, limits).cores) == 5
    monkeypatch.setattr(chip, "CORES", 4)
    with pytest.raises(HardspikeError) as caught:
        map_network(network, limits)
    assert len(place_network(network, limits).cores) == 5
    assert str(caught.value) == "network: needs 5 cores (input 2, wide 3), a chip has 4"


def recurrent(neurons: int, reached: int) -> FixedPointNetwork:
    """Return a layer each of whose neurons reaches `reached` of its own and one of the next."""
    own_NN = sum(
        (np.eye(neurons, k=-at) + np.eye(neurons, k=neurons - at)) for at in range(reached)
    )
    layers = (
        Layer(
            "back",
            Dense(np.ones((neurons, 1), np.int64)),
            LoihiLIF(0, 1),
            recurrent=Dense(2 * (np.asarray(own_NN) > 0).astype(np.int64)),
        ),
        Layer("out", Dense(2 * np.ones((1, neurons), np.int64)), LoihiLIF(0, 1)),
    )
    return FixedPointNetwork((1, 1, 1), layers, "count", steps=2, dt=0.01)


def test_recurrent_edges_take_axons_of_both_kinds_and_memory() -> None:
    alone = place_network(recurrent(6, 2)).of_layer(1)
    assert [(load.input_axons, load.output_axons) for load in alone] == [(1 + 6, 6 + 6)]
    halves = place_network(recurrent(6, 2), Limits(compartments=3)).of_layer(1)
    # Each half hears its own three and the last of the other; that one reaches both.
    assert [load.input_axons for load in halves] == [1 + 4, 1 + 4]
    assert [load.output_axons for load in halves] == [3 + 4, 3 + 4]
    # A list a source: the layer's one input has three synapses here, its own neurons 2, 2, 1 and 1.
    assert [load.synapse_words for load in halves] == [5, 5]


def test_more_cores_of_a_recurrent_layer_ask_for_more_output_axons() -> None:
    """P cores, P edges back and one on: ⌊limit / (P + 1)⌋ neurons a core, 48 in all of them."""
    for limit, cores in ((96, 1), (95, 2), (72, 2), (71, 3), (64, 3), (63, 4)):
        loads = place_network(recurrent(48, 48), Limits(output_axons=limit)).of_layer(1)
        assert max(load.output_axons for load in loads) <= limit
        assert len(loads) == cores, limit
    with pytest.raises(HardspikeError, match="alone needs 49 output axons, a core has 48"):
        place_network(recurrent(48, 48), Limits(output_axons=48))


def test_delays_take_memory_in_each_synapse() -> None:
    network = one_dense(64, 7)
    (layer,) = network.layers
    late = replace(layer, dendrite_delay_N=np.array([0, 5, 0, 0, 0, 0, 0]))
    words = []
    for one in (layer, late):
        placed = place_network(replace(network, layers=(one,)))
        words.append((placed.connections[0].synapse_bits, placed.of_layer(1)[0].synapse_words))
    assert words == [(8, 64), (11, 2 * 64)]
    after = replace(layer, name="after", synapse=Dense(np.full((2, 7), 2)))
    early = replace(layer, delay_N=np.full(7, 62))
    placed = place_network(replace(network, layers=(early, after)))
    assert [links.delay_bits for links in placed.connections] == [0, 6]


def test_counts_and_lasting_currents_are_refused() -> None:
    network = replace(one_dense(4, 2, du=2000), input_max=255)
    with pytest.raises(HardspikeError) as caught:
        map_network(network)
    first, second = str(caught.value).splitlines()
    assert first.startswith("layer wide: current decay: found 2000, allowed 4095")
    assert second.startswith("input: found counts up to 255, allowed spikes of 0 or 1")


def test_tiles_are_numbered_by_columns() -> None:
    assert [chip.position(core) for core in (0, 3, 4, 15, 16, 127)] == [
        (0, 0),
        (0, 0),
        (0, 1),
        (0, 3),
        (1, 0),
        (7, 3),
    ]
