"""Operations and the constants' estimate, against a network that a person can count."""

import numpy as np
import pytest

from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF
from hardware.loihi_cost.chip import Limits
from hardware.loihi_cost.mapping import map_network
from hardware.loihi_cost.operations import operations
from hardware.loihi_cost.published import barrier_seconds, published_energy, published_seconds
from hardware.reference import run_fixed
from hardware.synops import synaptic_operations
from tests.hardware.loihi_cost import small

TWO_BY_TWO = FixedPointNetwork(
    (1, 1, 2),
    (
        Layer("a", Dense(np.array([[20, 0], [20, 20]])), LoihiLIF(4096, 30)),
        Layer("b", Dense(np.array([[10, 10]])), LoihiLIF(0, 15)),
    ),
    "count",
    steps=2,
    dt=0.01,
)
"""Neuron a0 hears input 0 at 20 (and has a synapse of weight 0), a1 both at 20. Layer a forgets in
one step; its thresholds are 30. Layer b keeps all and fires above 15."""


def test_a_network_counted_by_hand() -> None:
    # inputs   step 0: 0 and 1; step 1: 0 alone
    # a        step 1: a0 at 20, a1 at 40, which fires; step 2: both at 20
    # b        step 2: 10 from a1; step 3: nothing comes, 10 stays
    spikes = np.array([[[1, 1]], [[1, 0]]], np.uint8)[None, :, :, None].reshape(1, 2, 1, 1, 2)
    trace = run_fixed(TWO_BY_TWO, spikes)
    layers = [spikes.reshape(2, 2), trace.spikes_BTN["a"][0], trace.spikes_BTN["b"][0]]
    assert layers[1].tolist() == [[0, 1], [0, 0]]
    assert layers[2].tolist() == [[0], [0]]
    counted = operations(TWO_BY_TWO, map_network(TWO_BY_TWO), layers)
    # cores: input 0, a 1, b 2, on one tile. Step by step, core by core:
    assert counted.synaptic_SC.tolist() == [[0, 4, 0], [0, 2, 1], [0, 0, 0], [0, 0, 0]]
    # a: reached at steps 1 and 2; at 3 it decays what it kept. b: reached at 2, keeps 10 at 3.
    assert counted.active_SC.tolist() == [[0, 0, 0], [0, 2, 0], [0, 2, 1], [0, 2, 1]]
    assert counted.inactive_SC.tolist() == [[0, 2, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert counted.messages_S.tolist() == [2, 2, 0, 0]
    assert counted.totals()["spikes"] == 4
    assert counted.totals()["hops"] == 0
    energy = published_energy(counted)
    assert energy["synapse"] == pytest.approx(7 * 23.6e-12)
    assert energy["soma"] == pytest.approx(8 * 81e-12 + 4 * 52e-12)
    assert energy["network"] == pytest.approx(4 * 1.7e-12)
    assert energy["total"] == pytest.approx(1028e-12)
    seconds = published_seconds(counted)
    # slowest core of a step: a with 4 operations and 2 idle neurons, a with 2 and 2 active, a, a
    slowest = [4 * 3.5 + 2 * 5.3, 2 * 3.5 + 2 * 8.4, 2 * 8.4, 2 * 8.4]
    assert seconds["computing"] == pytest.approx(sum(slowest) * 1e-9)
    assert seconds["synchronisation"] == pytest.approx(4 * 113e-9)


def test_hops_follow_the_mesh() -> None:
    inputs, outputs = 2, 20
    layer = Layer("a", Dense(np.full((outputs, inputs), 2)), LoihiLIF(0, 1000))
    network = FixedPointNetwork((1, 1, inputs), (layer,), "count", steps=1, dt=0.01)
    mapping = map_network(network, Limits(compartments=1))
    spikes = np.array([[0, 1]], np.uint8)
    counted = operations(network, mapping, [spikes, np.zeros((1, outputs), np.uint8)])
    # Input 1 is on tile 0 at (0, 0), the layer on cores 2 to 21: tiles 0 to 3 of column 0, then
    # tiles 4 and 5 of column 1.
    rows = 2 * 0 + 4 * 1 + 4 * 2 + 4 * 3 + 4 * 0 + 2 * 1
    assert counted.row_hops_S.tolist() == [rows, 0]
    assert counted.column_hops_S.tolist() == [6, 0]
    assert counted.messages_S.tolist() == [outputs, 0]
    expected = outputs * 1.7e-12 + rows * 4.0e-12 + 6 * 3.0e-12
    assert published_energy(counted)["network"] == pytest.approx(expected)
    assert counted.tiles == 6


@pytest.mark.parametrize("seed", range(5))
def test_synaptic_operations_are_those_of_the_definition(seed: int) -> None:
    network = small.network(seed, share=0.3)
    spikes = small.recordings(network, 2)
    trace = run_fixed(network, spikes)
    layers = [spikes[0].reshape(network.steps, -1), *(x[0] for x in trace.spikes_BTN.values())]
    mapping = map_network(network)
    assert [links.format for links in mapping.connections] == ["conv", "conv", "sparse"]
    expected = sum(
        synaptic_operations(layer.synapse, shape, inputs)
        for layer, shape, inputs in zip(network.layers, network.shapes, layers, strict=False)
    )
    counted = operations(network, mapping, layers)
    assert counted.totals()["synaptic_operations"] == expected
    neurons = sum(int(np.prod(shape)) for shape in network.shapes[1:])
    updates = counted.active_SC + counted.inactive_SC
    assert (updates.sum(axis=1) == neurons).all()
    assert (counted.inactive_SC >= 0).all()


def test_a_barrier_runs_from_one_tile_to_all() -> None:
    assert barrier_seconds(1) == 113e-9
    assert barrier_seconds(32) == pytest.approx(465e-9)
