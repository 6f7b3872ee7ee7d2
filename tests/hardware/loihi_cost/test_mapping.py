"""No core over any limit, every neuron once, and refusals that say what is needed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF
from hardware.loihi_cost import chip
from hardware.loihi_cost.mapping import Mapping, map_network
from tests.hardware.loihi_cost import small

LIMITS = {
    "COMPARTMENTS": st.integers(3, 40),
    "INPUT_AXONS": st.integers(40, 200),
    "OUTPUT_AXONS": st.integers(60, 200),
    "SYNAPSE_WORDS": st.integers(40, 120),
}


def check(mapping: Mapping) -> None:
    """Hold every core to the limits, its load counted anew from the synapses."""
    held = [np.concatenate([load.neurons_N for load in mapping.of_layer(k)]) for k in range(4)]
    for neurons_N, core_N in zip(held, mapping.core_of, strict=True):
        assert sorted(neurons_N.tolist()) == list(range(len(core_N)))
    for index, load in enumerate(mapping.cores):
        assert (mapping.core_of[load.layer][load.neurons_N] == index).all()
        assert 0 < len(load.neurons_N) <= chip.COMPARTMENTS
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
        assert load.input_axons <= chip.INPUT_AXONS
        assert load.output_axons <= chip.OUTPUT_AXONS
        assert load.synapse_words <= chip.SYNAPSE_WORDS


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from((0.0, 0.3, 1.0)), st.fixed_dictionaries(LIMITS))
def test_no_core_is_over_a_limit(seed: int, share: float, limits: dict[str, int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            patch.setattr(chip, name, value)
        patch.setattr(chip, "CORES", 10_000)
        check(map_network(small.network(seed, share)))


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


def test_a_neuron_with_more_synapses_than_a_core_has_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chip, "SYNAPSE_WORDS", 9)
    with pytest.raises(HardspikeError) as caught:
        map_network(one_dense(10, 1))
    assert "needs 10 words of synaptic memory (64 bits), a core has 9" in str(caught.value)


def test_more_cores_than_the_chip_has_are_refused_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chip, "COMPARTMENTS", 4)
    network = one_dense(6, 9)
    assert len(map_network(network).cores) == 5
    monkeypatch.setattr(chip, "CORES", 4)
    with pytest.raises(HardspikeError) as caught:
        map_network(network)
    assert str(caught.value) == "network: needs 5 cores (input 2, wide 3), a chip has 4"


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
