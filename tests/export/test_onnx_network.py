"""ONNX files read back as the network that they compute."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from onnx import numpy_helper

from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from export.onnx_model import write_sequence, write_step
from export.onnx_network import holds, read_onnx_network
from tests.conformance.random_networks import networks, within_limits
from tests.export.networks import fixed_network

Writer = Callable[[FixedPointNetwork, Path], None]
WRITERS = (write_sequence, write_step)


def assert_same(found: FixedPointNetwork, wanted: FixedPointNetwork) -> None:
    """Equal but for scales, which ONNX has no field for, and the last layer's unused delay."""
    for field in ("input_shape", "readout", "steps", "dt", "classes", "input_max"):
        assert getattr(found, field) == getattr(wanted, field)
    for ours, theirs in zip(found.layers, wanted.layers, strict=True):
        assert (ours.name, ours.neuron) == (theirs.name, theirs.neuron)
        for name in ("threshold_N", "alive_N", "dendrite_delay_N", "delay_N"):
            same(getattr(ours, name), getattr(theirs, name))
        same(ours.synapse.weight, theirs.synapse.weight)
        same(ours.synapse.bias_O, theirs.synapse.bias_O)
        if isinstance(theirs.synapse, Conv):
            assert isinstance(ours.synapse, Conv)
            for name in ("stride", "padding", "dilation", "groups"):
                assert getattr(ours.synapse, name) == getattr(theirs.synapse, name)
        assert (ours.recurrent is None) == (theirs.recurrent is None)
        if ours.recurrent is not None and theirs.recurrent is not None:
            same(ours.recurrent.weight_OI, theirs.recurrent.weight_OI)


def same(found: Any, wanted: Any) -> None:
    assert (found is None) == (wanted is None)
    if wanted is not None:
        np.testing.assert_array_equal(found, wanted)


@given(networks())
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_a_random_network_is_read_back(network: FixedPointNetwork) -> None:
    assume(within_limits(network))
    with TemporaryDirectory() as folder:
        for number, writer in enumerate(WRITERS):
            path = Path(folder) / f"{number}.onnx"
            writer(network, path)
            found = read_onnx_network(path)
            assert holds(path, network)
            assert holds(path, found)
            assert [layer.neuron for layer in found.layers] == [
                layer.neuron for layer in network.layers
            ]
            for ours, theirs in zip(found.layers, network.layers, strict=True):
                same(ours.synapse.weight, theirs.synapse.weight)
                same(ours.synapse.bias_O, theirs.synapse.bias_O)


def late_network() -> FixedPointNetwork:
    """Recurrence, both delays, decays a channel, subtractive reset, groups and dilation."""
    rng = np.random.default_rng(3)

    def weight(*shape: int) -> Any:
        return (2 * rng.integers(-40, 41, shape)).astype(np.int32)

    conv = Conv(weight(4, 1, 2, 2), weight(4)[:, None].ravel(), (1, 1), (1, 0), (2, 1), 2)
    size = int(np.prod(conv.output_shape((2, 5, 4))))
    layers = (
        Layer(
            "conv",
            conv,
            LoihiLIF(100, 60, 3000, "subtract"),
            delay_N=rng.integers(0, 4, size),
            current_decay_O=np.array([3000, 3500, 4095, 3100]),
            membrane_decay_O=np.array([200, 100, 300, 4095]),
        ),
        Layer(
            "hidden",
            Dense(weight(5, size), weight(5)),
            LoihiLIF(300, 90),
            delay_N=np.full(5, 2),
            recurrent=Dense(weight(5, 5)),
            dendrite_delay_N=np.array([1, 2, 1, 3, 2]),
        ),
        Layer(
            "out",
            Dense(weight(3, 5)),
            LoihiLIF(10, 50, reset="subtract"),
            dendrite_delay_N=np.full(3, 1),
        ),
    )
    return FixedPointNetwork((2, 5, 4), layers, "count", 6, 0.01)


def faulty_network() -> FixedPointNetwork:
    rng = np.random.default_rng(4)
    network = fixed_network()
    first, *others = network.layers
    size = int(np.prod(network.shapes[1]))
    first = dataclasses.replace(
        first, threshold_N=rng.integers(1000, 3000, size), alive_N=rng.integers(0, 2, size)
    )
    neuron = dataclasses.replace(first.neuron, threshold=int(first.threshold_N.max()))  # type: ignore[union-attr]
    first = dataclasses.replace(first, neuron=neuron)
    return dataclasses.replace(network, layers=(first, *others))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "make",
    [fixed_network, lambda: fixed_network("membrane", 3000), late_network, faulty_network],
    ids=["plain", "filtered", "late", "faulty"],
)
def test_every_field_is_read_back(
    writer: Writer, make: Callable[[], FixedPointNetwork], tmp_path: Path
) -> None:
    network = make()
    writer(network, tmp_path / "model.onnx")
    assert_same(read_onnx_network(tmp_path / "model.onnx"), network)


@pytest.mark.parametrize("writer", WRITERS)
def test_another_network_is_not_held(writer: Writer, tmp_path: Path) -> None:
    network = fixed_network()
    writer(network, tmp_path / "model.onnx")
    last = network.layers[-1]
    neuron = dataclasses.replace(last.neuron, threshold=last.neuron.threshold + 1)
    other = (*network.layers[:-1], dataclasses.replace(last, neuron=neuron))
    assert not holds(tmp_path / "model.onnx", dataclasses.replace(network, layers=other))


def test_changed_weights_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_sequence(fixed_network(), path)
    model = onnx.load_model(path)
    (weight,) = (item for item in model.graph.initializer if item.name == "conv.weight")
    values = numpy_helper.to_array(weight).copy()
    values[0, 0, 0, 0] += 128
    weight.CopyFrom(numpy_helper.from_array(values, "conv.weight"))
    onnx.save_model(model, path)
    found, wanted = read_onnx_network(path).layers[0], fixed_network().layers[0]
    assert found.synapse.weight[0, 0, 0, 0] == wanted.synapse.weight[0, 0, 0, 0] + 2


def test_a_graph_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_step(fixed_network(), path)
    model = onnx.load_model(path)
    (node,) = (node for node in model.graph.node if node.name == "conv.v.positive")
    node.op_type = "Abs"
    onnx.save_model(model, path)
    with pytest.raises(HardspikeError, match="its graph is not one that this version") as caught:
        read_onnx_network(path)
    assert len(str(caught.value).splitlines()) == 1


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for data, message in ((b"", "schema and form"), (b"no model", "is not a valid ONNX")):
        path.write_bytes(data)
        with pytest.raises(HardspikeError) as caught:
            read_onnx_network(path)
        assert len(str(caught.value).splitlines()) == 1
        assert str(path) in str(caught.value)
        assert message in str(caught.value) or "is not a valid ONNX" in str(caught.value)


@pytest.mark.parametrize("writer", WRITERS)
def test_thresholds_of_single_neurons_keep_their_reset(writer: Writer, tmp_path: Path) -> None:
    network = fixed_network()
    first, *others = network.layers
    odd = dataclasses.replace(
        first,
        neuron=dataclasses.replace(first.neuron, reset="subtract"),
        threshold_N=np.arange(1, 1 + math.prod(network.shapes[1])),
    )
    path = tmp_path / "model.onnx"
    writer(dataclasses.replace(network, layers=(odd, *others)), path)
    found = read_onnx_network(path).layers[0]
    assert found.neuron.reset == "subtract"
    np.testing.assert_array_equal(found.threshold_N, odd.threshold_N)
