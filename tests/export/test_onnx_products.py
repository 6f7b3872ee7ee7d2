"""The products file holds exactly the network's synapse products, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Synapse
from export.onnx_model import write_sequence
from export.onnx_products import product_inputs, write_products
from tests.export.networks import fixed_network

Array = NDArray[Any]
NODES = ["Conv", "MatMulInteger", "MatMulInteger"]


def spikes_of(network: FixedPointNetwork) -> dict[str, Array]:
    """Random inputs of every layer, (B, T, …): 2 recordings of 6 steps."""
    rng = np.random.default_rng(3)
    limits = [network.input_max] + [1] * (len(network.layers) - 1)
    return {
        layer.name: rng.integers(0, limit + 1, (2, network.steps, *shape)).astype(np.uint8)
        for layer, limit, shape in zip(network.layers, limits, network.shapes, strict=False)
    }


def summed(synapse: Synapse, x_N: Array) -> Array:
    """Σ w·x of one row by plain loops over the outputs, in int64."""
    if isinstance(synapse, Dense):
        return np.asarray(synapse.weight_OI.astype(np.int64) @ x_N.reshape(-1).astype(np.int64))
    weight, (down, right), (up, left) = synapse.weight, synapse.stride, synapse.padding
    padded = np.pad(x_N.astype(np.int64), ((0, 0), (up, up), (left, left)))
    shape = synapse.output_shape(x_N.shape)
    found = np.zeros(shape, np.int64)
    for channel, row, column in np.ndindex(*shape):
        top, start = row * down, column * right
        patch = padded[:, top : top + weight.shape[2], start : start + weight.shape[3]]
        found[channel, row, column] = (patch * weight[channel].astype(np.int64)).sum()
    return found


def run(path: Path, feeds: dict[str, Array]) -> dict[str, Array]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def test_every_product_is_the_networks_own(tmp_path: Path) -> None:
    network = fixed_network()
    write_products(network, tmp_path / "products.onnx")
    spikes = spikes_of(network)
    found = run(tmp_path / "products.onnx", product_inputs(network, spikes))
    assert list(found) == [f"{layer.name}.product" for layer in network.layers]
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        rows = spikes[layer.name].swapaxes(0, 1).reshape(-1, *shape)
        expected = np.stack([summed(layer.synapse, row) for row in rows])
        unit = 64 if isinstance(layer.synapse, Conv) else 0.5
        np.testing.assert_array_equal(found[f"{layer.name}.product"], expected * unit)


def test_counts_beyond_int8_take_a_float_product(tmp_path: Path) -> None:
    layer = Layer("only", Dense(np.array([[2, -4]])), LoihiLIF(0, 5))
    network = FixedPointNetwork((1, 1, 2), (layer,), "count", 1, 1.0, input_max=200)
    write_products(network, tmp_path / "products.onnx")
    feeds = product_inputs(network, {"only": np.array([[[[[200, 3]]]]], np.uint8)})
    assert feeds["only.input"].dtype == np.float32
    assert run(tmp_path / "products.onnx", feeds)["only.product"].tolist() == [[(400 - 12) * 64]]


@pytest.mark.parametrize("readout", ["count", "membrane"])
def test_nodes_and_weights_are_those_of_the_sequence_form(readout: Any, tmp_path: Path) -> None:
    network = fixed_network(readout)
    write_products(network, tmp_path / "products.onnx")
    write_sequence(network, tmp_path / "sequence.onnx")
    products, sequence = (
        onnx.load(tmp_path / name).graph for name in ("products.onnx", "sequence.onnx")
    )
    assert [node.op_type for node in products.node] == NODES
    ours = [node for node in sequence.node if node.op_type in NODES]
    for one, other in zip(products.node, ours, strict=True):
        assert (one.op_type, one.input[1]) == (other.op_type, other.input[1])
        assert list(one.attribute) == list(other.attribute)
    weights = {tensor.name: tensor.raw_data for tensor in sequence.initializer}
    assert all(weights[tensor.name] == tensor.raw_data for tensor in products.initializer)
    assert len(products.initializer) == len(network.layers)
