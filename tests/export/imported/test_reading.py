"""From a NIR file to the contract: equal to the oracle, nothing guessed, what is not had named."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from export.errors import HardspikeError
from export.imported.evaluate import evaluate_graph
from export.imported.graph import Input
from export.imported.nir_reader import read_nir_graph
from export.imported.reading import ImportedGraph, Options, import_nir
from export.network import LIF, Conv, Dense, HardSpikeNetwork, Layer
from export.nir_graph import write_nir
from hardware.reference import run_float
from tests.export.imported.nir_files import conv, full, lif, recurrent, small_cnn, weights, write
from tests.export.networks import float_feature_case, float_network

STEPS = 12
SAID = Options(dt=0.01, reset="zero", steps=STEPS)


def held_to_the_oracle(found: ImportedGraph) -> int:
    """Compare every layer's spikes with those of the file's own graph; return their number."""
    network = found.lowered.network
    rng = np.random.default_rng(1)
    spikes = (rng.random((3, STEPS, *network.input_shape)) < 0.4).astype(np.uint8)
    node = found.graph.nodes[found.graph.the_one(Input)]
    assert isinstance(node, Input)
    assert node.shape is not None
    input_TB = spikes.swapaxes(0, 1).reshape(STEPS, 3, *node.shape)
    settled = found.settled
    wanted = evaluate_graph(found.graph, input_TB, settled.dt, settled.reset)
    trace, total = run_float(_in_float64(network), spikes), 0
    for name, layer in found.lowered.layer_of.items():
        if name in found.graph.nodes and layer == name.removesuffix(".neuron"):
            given = trace.spikes_BTN[layer]
            np.testing.assert_array_equal(given, wanted[name].swapaxes(0, 1).reshape(given.shape))
            total += int(given.sum())
    return total


def _in_float64(network: HardSpikeNetwork) -> HardSpikeNetwork:
    layers = []
    for layer in network.layers:
        synapse: Any = layer.synapse
        field = "weight_OI" if isinstance(synapse, Dense) else "weight_OIHW"
        wide = replace(synapse, **{field: synapse.weight.astype(np.float64)})
        layers.append(replace(layer, synapse=wide))
    return replace(network, layers=tuple(layers))


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_convolutional_network(reset: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    found = import_nir(path, replace(SAID, reset=reset))
    conv, dense = found.lowered.network.layers
    assert isinstance(conv.synapse, Conv)
    assert (conv.name, conv.neuron.reset, conv.synapse.padding) == ("lif1", reset, (1, 1))
    assert conv.synapse.bias_O is None
    assert dense.synapse.weight.shape == (10, 3 * 8 * 8)
    assert dense.neuron.decay == pytest.approx(0.5)
    assert dense.neuron.threshold == np.float32(0.27)
    assert dense.synapse.bias_O is not None
    np.testing.assert_allclose(dense.synapse.bias_O, 0.0625 + 0.0625, rtol=1e-7)
    assert held_to_the_oracle(found) > 100


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_recurrence_delays_current_and_a_nested_graph(reset: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "rnn.nir", *recurrent())
    found = import_nir(path, replace(SAID, reset=reset))
    rnn, cuba = found.lowered.network.layers
    assert (rnn.name, cuba.name) == ("rnn.lif", "cuba")
    assert rnn.recurrent is not None
    assert rnn.delay_N is not None
    assert rnn.delay_N.tolist() == [0, 1, 2, 3]
    assert cuba.neuron.current_decay == pytest.approx(0.5)
    assert held_to_the_oracle(found) > 20
    write_nir(found.lowered.network, tmp_path / "back.nir")
    again = import_nir(tmp_path / "back.nir", Options())
    same(found.lowered.network, again.lowered.network)


def same(one: HardSpikeNetwork, two: HardSpikeNetwork) -> None:
    for field in ("input_shape", "readout", "steps", "dt", "classes", "input_max", "shapes"):
        assert getattr(one, field) == getattr(two, field), field
    for ours, theirs in zip(one.layers, two.layers, strict=True):
        assert (ours.name, ours.neuron) == (theirs.name, theirs.neuron)
        for mine, other in zip(arrays(ours), arrays(theirs), strict=True):
            assert (mine is None) == (other is None)
            if mine is not None and other is not None:
                assert mine.dtype == other.dtype
                assert mine.tobytes() == other.tobytes()


def arrays(layer: Layer[LIF]) -> list[Any]:
    recurrent = None if layer.recurrent is None else layer.recurrent.weight_OI
    own = [layer.delay_N, layer.membrane_decay_O, layer.current_decay_O]
    return [layer.synapse.weight, layer.synapse.bias_O, recurrent, *own]


@pytest.mark.parametrize("readout", ["count", "membrane"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_our_own_file_comes_back_to_the_bit(readout: Any, dtype: Any, tmp_path: Path) -> None:
    network = float_network(readout, dtype)
    write_nir(network, tmp_path / "ours.nir")
    same(network, import_nir(tmp_path / "ours.nir", Options()).lowered.network)


def test_thresholds_of_single_neurons_fold_into_weights(tmp_path: Path) -> None:
    """Rows are scaled so that every neuron has the first's threshold."""
    thresholds = np.array([0.25, 0.5, 1.0], np.float32)
    neurons = nir.IF(r=full((3,), 1.0), v_threshold=thresholds, v_reset=full((3,), 0.0))
    nodes = {
        "input": nir.Input(np.array([4])),
        "fc": nir.Linear(weights(3, 4)),
        "if": neurons,
        "output": nir.Output(np.array([3])),
    }
    found = import_nir(write(tmp_path / "a.nir", nodes), replace(SAID, dt=1.0))
    (layer,) = found.lowered.network.layers
    assert layer.neuron == LIF(1.0, 0.25)
    np.testing.assert_array_equal(
        layer.synapse.weight, weights(3, 4) * np.array([1, 0.5, 0.25])[:, None]
    )
    assert held_to_the_oracle(found) > 10


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("dt", "dt: the file does not say how long a step is, and its neurons depend on it"),
        ("reset", "reset: the file does not say what a spike does to the membrane"),
        ("steps", "steps: the file does not say how many steps a recording has; give --steps"),
    ],
)
def test_what_the_file_leaves_open_is_asked_for(missing: str, line: str, tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    left_open: dict[str, Any] = {missing: None}
    with pytest.raises(HardspikeError) as caught:
        import_nir(path, replace(SAID, **left_open))
    assert str(caught.value).startswith(f"{path}: {line}")


def test_file_and_user_may_not_disagree(tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn(), dt="0.02")
    with pytest.raises(HardspikeError, match=r"dt: found 0\.02 in the file and 0\.01 given"):
        import_nir(path, SAID)
    path = write(tmp_path / "cnn.nir", small_cnn(), time_base="a delay a layer")
    with pytest.raises(HardspikeError, match="time_base: found 'a delay a layer', allowed 'no"):
        import_nir(path, SAID)


def edited(change: Any) -> tuple[dict[str, Any], Any]:
    nodes = small_cnn()
    edges = change(nodes)
    return nodes, edges


def _set(name: str, node: Any) -> Any:
    return lambda nodes: nodes.__setitem__(name, node)


def _branch(nodes: dict[str, Any]) -> list[tuple[str, str]]:
    names = list(nodes)
    return [*itertools.pairwise(names), ("lif1", "output")]


def _loop(nodes: dict[str, Any]) -> list[tuple[str, str]]:
    names = list(nodes)
    return [*itertools.pairwise(names), ("fc", "flat")]


UNSUPPORTED = {
    "shapes": (
        _set("fc", nir.Linear(weights(10, 40))),
        "node fc (Linear): takes a vector of 40, found (48,)",
    ),
    "channels": (
        _set("conv", conv((8, 8), weights(3, 4, 3, 3))),
        "node conv (Conv2d): takes (C, H, W) of 4",
    ),
    "readout": (
        _set("lif2", nir.Scale(full((10,), 2.0))),
        "node output (Output): found behind no neurons",
    ),
    "branch": (_branch, "node output: found inputs that would make it"),
    "cycle": (_loop, "nodes fc, flat: found a cycle without a neuron"),
    "integrates": (
        _set("lif1", nir.LI(full((3, 8, 8), 0.02), full((3, 8, 8), 1.0), full((3, 8, 8), 0.0))),
        "node lif1: found neurons that never fire before lif2, allowed as the last layer only",
    ),
    "delay of the input": (
        lambda nodes: [("input", "late"), ("late", "conv"), *edges_of(nodes)[1:]],
        "edges: found 'late', allowed is the name of a node",
    ),
    "no step": (
        _set("lif1", lif((3, 8, 8), tau=0.001)),
        "node lif1 (LIF): tau: found 0.001, allowed from dt",
    ),
}


def edges_of(nodes: dict[str, Any]) -> list[tuple[str, str]]:
    names = list(nodes)
    return list(itertools.pairwise(names))


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_the_contract_has_no_place_for_is_named(case: str, tmp_path: Path) -> None:
    change, line = UNSUPPORTED[case]
    path = write(tmp_path / "cnn.nir", *edited(change))
    with pytest.raises(HardspikeError) as caught:
        import_nir(path, SAID)
    assert str(caught.value).startswith(f"{path}: {line}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_our_own_files_mean_here_what_the_network_computes(reset: Any, tmp_path: Path) -> None:
    """Everything that a float layer may have, through NIR and this reader, and by the oracle."""
    spikes = 0
    for seed in range(40):
        network, _ = float_feature_case(seed)
        if network.layers[0].neuron.reset != reset:
            continue
        write_nir(network, tmp_path / "ours.nir")
        found = import_nir(tmp_path / "ours.nir", Options())
        for ours, theirs in zip(network.layers, found.lowered.network.layers, strict=True):
            assert (ours.name, ours.neuron) == (theirs.name, theirs.neuron), seed
            for mine, other in zip(arrays(ours), arrays(theirs), strict=True):
                assert (mine is None) == (other is None), seed
                if mine is not None:  # a bias behind a current is v_leak · α: a rounding off
                    np.testing.assert_allclose(other, mine, rtol=1e-15, err_msg=str(seed))
        spikes += held_to_the_oracle(found)
    assert spikes > 1000


def test_a_bias_in_front_of_a_current_is_filtered_with_it(tmp_path: Path) -> None:
    nodes, edges = recurrent()
    nodes["fc2"] = nir.Affine(weights(2, 4), full(2, 0.5))
    found = import_nir(write(tmp_path / "rnn.nir", nodes, edges), SAID)
    assert found.lowered.network.layers[1].neuron.bias_filtered
    assert held_to_the_oracle(found) > 20


def test_a_bias_on_both_sides_of_a_current_is_refused(tmp_path: Path) -> None:
    nodes, edges = recurrent()
    nodes["fc2"] = nir.Affine(weights(2, 4), full(2, 0.5))
    nodes["cuba"].v_leak = full((2,), 0.25)
    path = write(tmp_path / "rnn.nir", nodes, edges)
    with pytest.raises(HardspikeError, match="node cuba: found a bias in front of a synaptic cur"):
        import_nir(path, SAID)


@pytest.mark.parametrize("population", ["conv", "dense"])
def test_time_constants_of_each_neuron(population: str, tmp_path: Path) -> None:
    """One a neuron of a dense layer, one a channel of a convolution."""
    nodes = small_cnn()
    if population == "dense":
        nodes["lif2"].tau = np.linspace(0.02, 0.08, 10)
    else:
        nodes["lif1"].tau = np.broadcast_to([[[0.02]], [[0.04]], [[0.08]]], (3, 8, 8)).copy()
    found = import_nir(write(tmp_path / "cnn.nir", nodes), SAID)
    layer = found.lowered.network.layers[population == "dense"]
    taus = nodes["lif2"].tau if population == "dense" else np.array([0.02, 0.04, 0.08])
    assert layer.membrane_decay_O is not None
    np.testing.assert_allclose(layer.membrane_decay_O, 1 - 0.01 / taus, rtol=1e-12)
    assert held_to_the_oracle(found) > 100


def test_time_constants_within_a_channel_are_refused(tmp_path: Path) -> None:
    nodes = small_cnn()
    nodes["lif1"].tau = np.linspace(0.02, 0.08, 192).reshape(3, 8, 8)
    path = write(tmp_path / "cnn.nir", nodes)
    with pytest.raises(HardspikeError) as caught:
        import_nir(path, SAID)
    assert "lif1" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("steps", [1, 4])
def test_a_refractory_period_that_the_user_gives(steps: int, tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    found = import_nir(path, replace(SAID, refractory=steps))
    assert {layer.neuron.refractory for layer in found.lowered.network.layers} == {steps}
    usual = held_to_the_oracle(import_nir(path, SAID))
    assert 0 < held_to_the_oracle(found) < usual
    with pytest.raises(HardspikeError, match="node lif1: refractory: found beside the reset"):
        import_nir(path, replace(SAID, refractory=steps, reset="subtract"))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("decay", "[" * 5000),
        ("decay", f"[{10**400}, 1]"),
        ("decay", "[0.1, 0.2, 0.3]"),
        ("decay", '{"a": 1}'),
        ("refractory", "-1"),
        ("refractory", "0" * 5000),
        ("refractory", "65537"),
    ],
)
def test_hostile_metadata_of_a_neuron(key: str, text: str, tmp_path: Path) -> None:
    """What cannot be is named in our own files; others' metadata means nothing here."""
    import h5py

    layer = Layer("only", Dense(np.eye(2)), LIF(0.5, 1.0))
    path = tmp_path / "ours.nir"
    write_nir(HardSpikeNetwork((2, 1, 1), (layer,), "count", 3, 0.01), path)
    with h5py.File(path, "r+") as file:
        metadata = file["node/nodes/only.neuron/metadata"]
        if key in metadata:
            del metadata[key]
        metadata[key] = text
    with pytest.raises(HardspikeError) as caught:
        import_nir(path, Options())
    assert f"node only.neuron: metadata: {key}: found" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    with h5py.File(path, "r+") as file:
        del file["node/metadata/schema"]
    found = import_nir(path, Options()).lowered.network.layers[0]
    assert (found.neuron, found.membrane_decay_O) == (layer.neuron, None)


def test_a_refractory_period_that_file_and_user_say_otherwise(tmp_path: Path) -> None:
    layer = Layer("only", Dense(np.eye(2)), LIF(0.5, 1.0, refractory=3))
    write_nir(HardSpikeNetwork((2, 1, 1), (layer,), "count", 3, 0.01), tmp_path / "ours.nir")
    found = import_nir(tmp_path / "ours.nir", Options(refractory=3))
    assert found.lowered.network.layers[0].neuron.refractory == 3
    with pytest.raises(HardspikeError, match="refractory: found 3 steps in the file and 2 given"):
        import_nir(tmp_path / "ours.nir", Options(refractory=2))


def test_a_refractory_period_where_no_neuron_fires(tmp_path: Path) -> None:
    """A readout of membranes takes the only thresholds."""
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.eye(2)),
        "lif": lif((2,)),
        "output": nir.Output(np.array([2])),
    }
    path = write(tmp_path / "lif.nir", nodes)
    said = replace(SAID, refractory=3, readout="membrane")
    message = r"lif\.nir: refractory: found 3 steps and no neuron that fires, allowed is none"
    with pytest.raises(HardspikeError, match=message):
        import_nir(path, said)
    assert import_nir(path, replace(said, refractory=None)).lowered.network.readout == "membrane"


def test_a_file_of_before_resets_has_none(tmp_path: Path) -> None:
    """Neurons without v_reset, as files before NIR 1.0 have them, reset to zero."""
    import h5py

    path = write(tmp_path / "cnn.nir", small_cnn())
    with h5py.File(path, "r+") as file:
        del file["node/nodes/lif1/v_reset"]
    graph = read_nir_graph(path)
    node: Any = graph.nodes["lif1"]
    assert node.v_reset.shape == (3, 8, 8)
    assert not node.v_reset.any()
