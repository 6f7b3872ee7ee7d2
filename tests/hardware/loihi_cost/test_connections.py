"""Stored synapses give the layer's sums, and take the bits that the format says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.network import Dense, Shape, Synapse
from hardware.arriving import synapse_product
from hardware.loihi_cost.connections import Connections, connections, weight_bits
from tests.conformance.feature_networks import feature_case
from tests.hardware.loihi_cost import small


def matrix(links: Connections) -> NDArray[np.int64]:
    found = np.zeros((links.sources, links.targets), np.int64)
    np.add.at(found, (links.sources_E, links.targets_E), links.weights_E)
    return found


def layer_matrix(synapse: Synapse, shape: Shape) -> NDArray[np.int64]:
    one_each = np.eye(int(np.prod(shape)), dtype=np.int64)[None]
    return np.asarray(synapse_product(synapse, one_each, shape, np.float64)[0], np.int64)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from((0.0, 0.3, 1.0)))
def test_synapses_are_the_layers_matrix(seed: int, share: float) -> None:
    network = small.network(seed, share)
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        links = connections(layer.synapse, shape)
        expected = layer_matrix(layer.synapse, shape)
        np.testing.assert_array_equal(matrix(links), expected)
        stored = expected.size if links.format == "dense" else np.count_nonzero(expected)
        assert len(links.weights_E) == stored


def test_synapses_through_groups_and_dilation_are_the_layers_matrix() -> None:
    met = set[str]()
    for seed in range(40):
        network, _ = feature_case(seed)
        for layer, shape in zip(network.layers, network.shapes, strict=False):
            links = connections(layer.synapse, shape)
            np.testing.assert_array_equal(matrix(links), layer_matrix(layer.synapse, shape))
            met |= set(layer.features)
    assert {"groups", "dilation"} <= met


@pytest.mark.parametrize(
    ("weights", "bits"),
    [([0], 1), ([-256], 1), ([254, 2], 8), ([-32, 64], 4), ([1], 9), ([255], 9), ([128, -128], 2)],
)
def test_low_bits_that_are_zero_everywhere_take_no_memory(weights: list[int], bits: int) -> None:
    assert weight_bits(np.array(weights)) == bits


@given(st.integers(0, 100))
def test_a_dense_layer_takes_the_smaller_format(present: int) -> None:
    weight_OI = np.zeros((10, 10), np.int64)
    weight_OI.flat[:present] = 2
    links = connections(Dense(weight_OI), (10,))
    bits = weight_bits(weight_OI)
    assert (links.format == "sparse") == (present * (bits + 10) < 100 * bits)
    assert links.synapse_bits == (bits if links.format == "dense" else bits + 10)
