"""The axis of recordings is dropped where it is one, and nothing else is."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.imported.evaluate import evaluate_graph
from export.imported.graph import (
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Output,
    Scale,
    SumPool2d,
    Threshold,
)
from export.imported.reading import Options, import_nir
from export.imported.recordings_axis import without_recordings_axis
from export.imported.shapes import infer_shapes, output_shape
from export.network import HardSpikeNetwork
from tests.export.imported.graphs import chain, integrate_and_fire, output_of, whole
from tests.export.imported.nir_files import CUBA, conv, full, lif, small_cnn, weights, write

SAID = Options(dt=0.01, reset="zero", steps=6)
small = settings(max_examples=60, deadline=None, database=None, derandomize=True)
sizes = st.integers(1, 3)


def batched(graph: Graph, parameters: bool, length: int = 1) -> Graph:
    """Return the graph as a toolkit has it that runs on (1, …): its own words for each node."""
    nodes = {name: _batched(node, parameters, length) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes)


def _batched(node: Node, parameters: bool, length: int) -> Node:
    match node:
        case Input():
            assert node.shape is not None
            return Input((length, *node.shape))
        case Flatten():
            return Flatten(*(axis if axis < 0 else axis + 1 for axis in (node.start, node.end)))
        case Neuron() | Scale() | Threshold() | Delay() if parameters:
            own: dict[str, Any] = {
                item.name: value[None]
                for item in fields(node)
                if isinstance(value := getattr(node, item.name), np.ndarray)
            }
            return replace(node, **own)
        case _:
            return node


def dense(rng: np.random.Generator, inputs: int, units: int) -> Graph:
    back = Linear(whole(rng, units, units))
    graph = chain(
        Linear(whole(rng, units, inputs), whole(rng, units)),
        integrate_and_fire((units,)),
        Delay(rng.integers(0, 3, units).astype(np.float64)),
        Linear(whole(rng, 2, units)),
        Scale(whole(rng, 2)),
        integrate_and_fire((2,)),
        shape=(inputs,),
    )
    edges = (*graph.edges, ("n1", "back"), ("back", "n1"))
    return Graph({**graph.nodes, "back": back}, edges)


def image(rng: np.random.Generator, channels: int, length: int) -> Graph:
    """Convolutions of one channel and more, so that shapes like (1, H, W) are there."""
    flat = channels * (length // 2) ** 2
    return chain(
        Conv2d(whole(rng, channels, 1, 3, 3), None, (1, 1), (1, 1)),
        integrate_and_fire((channels, length, length)),
        SumPool2d((2, 2), (2, 2)),
        Flatten(0, -1),
        Linear(whole(rng, 3, flat)),
        integrate_and_fire((3,)),
        shape=(1, length, length),
    )


def line(rng: np.random.Generator, channels: int, length: int) -> Graph:
    return chain(
        Conv1d(whole(rng, 2, channels, 2), None, 1, 0, 1, 1),
        integrate_and_fire((2, length)),
        Flatten(0, 1),
        Linear(whole(rng, 3, 2 * length)),
        integrate_and_fire((3,)),
        shape=(channels, length + 1),
    )


def flat_first(rng: np.random.Generator, channels: int, length: int) -> Graph:
    units = channels * length * 2
    return chain(
        Flatten(0, -1),
        Linear(whole(rng, 4, units)),
        integrate_and_fire((4,)),
        shape=(channels, length, 2),
    )


GRAPHS = (dense, image, line, flat_first)


@small
@given(
    make=st.sampled_from(GRAPHS),
    seed=st.integers(0, 2**16),
    sizes=st.tuples(sizes, st.integers(2, 5)),
    parameters=st.booleans(),
)
def test_what_a_batch_of_one_wrote_is_the_graph_of_one_recording(
    make: Any, seed: int, sizes: tuple[int, int], parameters: bool
) -> None:
    """Also the other way round: a graph without such an axis is left as it stands."""
    graph = make(np.random.default_rng(seed), *sizes)
    infer_shapes(graph)
    assert without_recordings_axis(graph).graph is graph
    found = without_recordings_axis(batched(graph, parameters))
    assert [(one.nodes, one.says) for one in found.applied] == [
        (("input",), "axis of recordings of length 1 dropped")
    ]
    assert found.faults == ()
    assert infer_shapes(found.graph) == infer_shapes(graph)
    np.testing.assert_array_equal(output_of(found.graph, seed), output_of(graph, seed))


@pytest.mark.parametrize("start", range(-4, 4))
@pytest.mark.parametrize("end", range(-4, 4))
def test_flatten_of_a_batch_joins_the_same_axes(start: int, end: int) -> None:
    """Held to NumPy: joined with the axis in front, then seen without it."""
    shape = (1, 2, 3, 4)
    first, last = start % 4, end % 4
    found = without_recordings_axis(
        chain(Flatten(start, end), integrate_and_fire((1,)), shape=shape)
    )
    if first > last:
        assert not found.applied
        return
    joined = np.zeros(shape).reshape(*shape[:first], -1, *shape[last + 1 :])
    flatten = found.graph.nodes["n0"]
    assert isinstance(flatten, Flatten)
    wanted = joined.shape if first == 0 < last else joined.shape[1:]
    assert output_shape(flatten, shape[1:]) == wanted


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        (Conv1d(np.ones((2, 1, 3)), None, 1, 0, 1, 1), (1, 9)),
        (Conv2d(np.ones((2, 1, 3, 3))), (1, 9, 9)),
        (SumPool2d((2, 2), (2, 2)), (1, 8, 8)),
        (integrate_and_fire((1, 4, 4)), (1, 4, 4)),
        (integrate_and_fire((1,)), (1,)),
    ],
)
def test_an_axis_of_one_that_is_the_nodes_own_stays(node: Node, shape: tuple[int, ...]) -> None:
    graph = chain(node, shape=shape)
    assert without_recordings_axis(graph).graph is graph
    found = without_recordings_axis(chain(node, shape=(1, *shape)))
    assert found.applied
    assert found.graph.nodes["input"] == Input(shape)


def test_neurons_of_one_channel_keep_their_axis() -> None:
    """(1, H, W) is their shape, not a batch's; (1, 1, H, W) is."""
    graph = image(np.random.default_rng(0), 1, 4)
    for parameters in (False, True):
        node = without_recordings_axis(batched(graph, parameters)).graph.nodes["n1"]
        assert isinstance(node, Neuron)
        assert node.r.shape == (1, 4, 4)


def test_a_graph_that_fits_neither_way_is_left_to_its_own_fault() -> None:
    graph = chain(Linear(np.ones((2, 5))), shape=(1, 4))
    assert without_recordings_axis(graph).graph is graph
    several = replace(graph, nodes={**graph.nodes, "other": Input((1, 5))})
    assert without_recordings_axis(several).graph is several
    unsaid = chain(Linear(np.ones((2, 5))), shape=(5,)).replaced("input", Input(None))
    assert without_recordings_axis(unsaid).graph is unsaid


def test_a_fault_further_on_is_named_there(tmp_path: Path) -> None:
    nodes = norse_file()
    nodes["2"] = nir.Affine(weights(5, 7), full(5, 0.0))
    path = write(tmp_path / "x.nir", nodes)
    with pytest.raises(HardspikeError, match=r"node 2 \(Affine\): takes a vector of 7, found"):
        import_nir(path, SAID)


def norse_file(*recordings: int) -> dict[str, Any]:
    """Return what Norse 1.1.0 writes of two dense layers exported by a sample (1, 12)."""
    return {
        "input": nir.Input(np.array([*(recordings or (1,)), 12])),
        "0": nir.Affine(weights(10, 12), full(10, 0.125)),
        "1": lif((10,)),
        "2": nir.Affine(weights(5, 10, seed=1), full(5, 0.0)),
        "3": lif((5,)),
        "output": nir.Output(np.array([*(recordings or (1,)), 5])),
    }


def same(one: HardSpikeNetwork, other: HardSpikeNetwork) -> None:
    assert one.shapes == other.shapes
    assert (one.input_shape, one.readout, one.dt) == (other.input_shape, other.readout, other.dt)
    for mine, theirs in zip(one.layers, other.layers, strict=True):
        assert (mine.name, mine.neuron) == (theirs.name, theirs.neuron)
        np.testing.assert_array_equal(mine.synapse.weight, theirs.synapse.weight)
        np.testing.assert_array_equal(np.asarray(mine.synapse.bias_O), theirs.synapse.bias_O)


def test_norses_file_of_a_batch_of_one_is_read(tmp_path: Path) -> None:
    nodes = norse_file()
    path = write(tmp_path / "batched.nir", nodes)
    found = import_nir(path, SAID)
    assert "axis of recordings of length 1 dropped" in [one.says for one in found.applied]
    nodes |= {"input": nir.Input(np.array([12])), "output": nir.Output(np.array([5]))}
    plain = import_nir(write(tmp_path / "plain.nir", nodes), SAID)
    same(found.lowered.network, plain.lowered.network)
    inputs = np.random.default_rng(1).integers(0, 2, (6, 2, 12))
    for graph in (found.graph, plain.graph):
        spikes = evaluate_graph(graph, inputs, 0.01)["output"]
        assert spikes.any()
        np.testing.assert_array_equal(
            spikes, evaluate_graph(plain.graph, inputs, 0.01)[graph.the_one(Output)]
        )


def test_recorded_shapes_of_inner_nodes_are_no_part_of_it(tmp_path: Path) -> None:
    """Files of a convolution: `input_shape` is (H, W), a flatten's may have the axis."""
    nodes = small_cnn()
    plain = import_nir(write(tmp_path / "plain.nir", nodes), SAID)
    nodes |= {
        "input": nir.Input(np.array([1, 2, 8, 8])),
        "conv": conv((8, 8), weights(3, 2, 3, 3), padding=(1, 1)),
        "lif1": lif((1, 3, 8, 8)),
        "flat": nir.Flatten({"input": np.array([1, 3, 4, 4])}, 1, -1),
        "output": nir.Output(np.array([1, 10])),
    }
    same(
        import_nir(write(tmp_path / "batched.nir", nodes), SAID).lowered.network,
        plain.lowered.network,
    )


@pytest.mark.parametrize("recordings", [2, 12])
def test_several_recordings_are_refused_with_what_to_do(recordings: int, tmp_path: Path) -> None:
    path = write(tmp_path / "x.nir", norse_file(recordings))
    with pytest.raises(HardspikeError) as caught:
        import_nir(path, SAID)
    assert str(caught.value) == (
        f"{path}: node input: shape: found ({recordings}, 12), and what follows takes (12,): an "
        f"axis of {recordings} recordings; allowed is one, export the network by a sample of one "
        "recording"
    )


def test_a_current_of_a_batch_of_one(tmp_path: Path) -> None:
    nodes = {
        "input": nir.Input(np.array([1, 3])),
        "fc": nir.Linear(weights(2, 3)),
        "cuba": nir.CubaLIF(
            **{key: full((1, 2), value) for key, value in CUBA.items()}, w_in=full((1, 2), 2.0)
        ),
        "output": nir.Output(np.array([1, 2])),
    }
    network = import_nir(write(tmp_path / "x.nir", nodes), SAID).lowered.network
    assert network.shapes[-1] == (2,)
    assert network.layers[0].neuron.current_decay == pytest.approx(0.5)
