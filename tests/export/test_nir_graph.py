"""NIR: bit-equal round trips, a second reader with its own Euler steps, damage in one line."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.euler import inverse, time_constant
from export.network import LIF, Dense, HardSpikeNetwork, Layer
from export.nir_graph import read_nir_back, write_nir
from export.nir_neurons import late_bias
from hardware.reference import run_float
from tests.export.imported.test_reading import arrays
from tests.export.networks import float_feature_case, float_network

Array = NDArray[Any]


class _EulerReader:
    """Reads NIR with h5py alone and steps its equations as NIR states them.

    τ·v̇ = (v_leak − v) + R·I over one dt: v ← v + α·((v_leak − v) + R·I) with α = dt/τ, sorted by
    v, v_leak and I; without τ: v ← v + (dt·R)·I. Above the threshold it fires and v ← v_reset.
    """

    def __init__(self, path: Path) -> None:
        with h5py.File(path) as file:
            graph = file["node"]
            metadata = {key: value[()].decode() for key, value in graph["metadata"].items()}
            edges = {a.decode(): b.decode() for a, b in graph["edges"][()]}
            self.nodes = []
            name = edges["input"]
            while name != "output":
                node = graph["nodes"][name]
                self.nodes.append({key: node[key][()] for key in node if key != "metadata"})
                name = edges[name]
        assert metadata["reset"] == "zero"
        assert metadata["time_base"] == "no layer delay"
        self.dt, self.steps = float(metadata["dt"]), int(metadata["steps"])
        self.readout = metadata["readout"]

    def run(self, spikes_TCHW: Array) -> tuple[Array, Array]:
        """Return the last population's spikes and membranes before the reset, `(T, N)`."""
        states: dict[int, Array] = {}
        fired, membranes = [], []
        for t in range(self.steps):
            x: Array = spikes_TCHW[t].astype(np.float64)
            before = x
            for index, node in enumerate(self.nodes):
                kind = node["type"].decode()
                if kind in ("Linear", "Affine"):
                    x = node["weight"] @ x + node.get("bias", 0)
                elif kind == "Conv2d":
                    x = _correlate(x, node)
                elif kind == "Flatten":
                    x = x.ravel()
                else:
                    before, x, states[index] = self._neuron(kind, node, states.get(index), x)
            fired.append(x.ravel())
            membranes.append(before.ravel())
        return np.array(fired), np.array(membranes)

    def _neuron(
        self, kind: str, node: dict[str, Any], state: Array | None, current: Array
    ) -> tuple[Array, Array, Array]:
        v = np.zeros(node["r"].shape) if state is None else state
        alpha = self.dt / node["tau"] if "tau" in node else np.zeros(())
        gain = (alpha if "tau" in node else self.dt) * node["r"]
        v = v * (1 - alpha) + alpha * node.get("v_leak", 0) + gain * current
        if kind in ("LI", "I"):
            return v, np.zeros_like(v), v
        fires = v > node["v_threshold"]
        return v, fires.astype(np.float64), np.where(fires, node["v_reset"], v)


def _correlate(image_CHW: Array, node: dict[str, Any]) -> Array:
    """Correlate by sums over shifted images, channel after channel as the kernel's rows run."""
    weight_OIHW, (down, across) = node["weight"], node["stride"]
    (top, side), (high, wide) = node["padding"], weight_OIHW.shape[2:]
    image = np.pad(image_CHW, ((0, 0), (top, top), (side, side)))
    rows = (image.shape[1] - high) // down + 1
    columns = (image.shape[2] - wide) // across + 1
    result = np.zeros((len(weight_OIHW), rows, columns))
    for row in range(rows):
        for column in range(columns):
            patch = image[:, row * down : row * down + high, column * across :][:, :, :wide]
            result[:, row, column] = (weight_OIHW * patch).sum(axis=(1, 2, 3))
    return np.asarray(result + node["bias"][:, None, None])


def _dyadic(network: HardSpikeNetwork) -> HardSpikeNetwork:
    """Round the weights to 1/256, so that float64 sums are exact in any order."""
    layers = []
    for layer in network.layers:
        synapse = layer.synapse
        rounded = [
            np.round(array * 256) / 256
            for array in (synapse.weight, synapse.bias_O)
            if array is not None
        ]
        rest = () if isinstance(synapse, Dense) else (synapse.stride, synapse.padding)
        bias = rounded[1] if len(rounded) == 2 else None
        layers.append(Layer(layer.name, type(synapse)(rounded[0], bias, *rest), layer.neuron))
    return HardSpikeNetwork(
        network.input_shape, tuple(layers), network.readout, network.steps, network.dt
    )


@pytest.mark.parametrize("readout", ["count", "membrane"])
def test_a_second_reader_gives_the_same_spikes(readout: Any, tmp_path: Path) -> None:
    network = _dyadic(float_network(readout, np.float64))
    write_nir(network, tmp_path / "model.nir")
    rng = np.random.default_rng(3)
    spikes = (rng.random((5, network.steps, *network.input_shape)) < 0.3).astype(np.uint8)
    trace = run_float(network, spikes)
    reader = _EulerReader(tmp_path / "model.nir")
    assert reader.readout == readout
    assert all(0 < layer.mean() < 1 for layer in list(trace.spikes_BTN.values())[:2])
    for index, recording in enumerate(spikes):
        fired, membranes = reader.run(recording)
        np.testing.assert_array_equal(fired, trace.last[index])
        np.testing.assert_array_equal(membranes, trace.membranes_BTN[index])


@pytest.mark.parametrize("readout", ["count", "membrane"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_comes_back_to_the_bit(readout: Any, dtype: Any, tmp_path: Path) -> None:
    network = float_network(readout, dtype)
    write_nir(network, tmp_path / "model.nir")
    found = read_nir_back(tmp_path / "model.nir")
    for field in ("input_shape", "shapes", "readout", "steps", "dt", "classes", "input_max"):
        assert getattr(found, field) == getattr(network, field), field
    for ours, theirs in zip(network.layers, found.layers, strict=True):
        assert (ours.name, ours.neuron, ours.scale) == (theirs.name, theirs.neuron, theirs.scale)
        assert theirs.synapse.weight.dtype == dtype
        assert theirs.synapse.weight.tobytes() == ours.synapse.weight.tobytes()
        pair = ours.synapse.bias_O, theirs.synapse.bias_O
        assert (pair[0] is None) == (pair[1] is None)
        if pair[0] is not None and pair[1] is not None:
            assert pair[0].tobytes() == pair[1].tobytes()


def test_all_that_a_layer_may_have_comes_back_to_the_bit(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(60):
        network, _ = float_feature_case(seed)
        write_nir(network, tmp_path / "model.nir")
        found = read_nir_back(tmp_path / "model.nir")
        for ours, theirs in zip(network.layers, found.layers, strict=True):
            assert (ours.name, ours.neuron) == (theirs.name, theirs.neuron), seed
            for mine, other in zip(arrays(ours), arrays(theirs), strict=True):
                assert (mine is None) == (other is None), seed
                if mine is not None and other is not None:
                    assert mine.tobytes() == other.tobytes(), seed
            seen.update([*ours.features, *(["late bias"] if late_bias(ours) is not None else [])])
    wanted = ("refractory period", "filtered bias", "decays of each channel", "late bias")
    assert all(seen[feature] > 5 for feature in wanted), seen


@pytest.mark.parametrize("current", [0.0, 0.5])
def test_neurons_without_a_leak_where_nir_has_a_leak_alone(current: float, tmp_path: Path) -> None:
    """Beside neurons with one, and behind a synaptic current: a leak that no float64 shows."""
    layer = Layer(
        "only",
        Dense(np.eye(2)),
        LIF(1.0, 1.0, current_decay=current),
        membrane_decay_O=None if current else np.array([1.0, 0.5]),
    )
    network = HardSpikeNetwork((2, 1, 1), (layer,), "count", 3, 0.0105)
    write_nir(network, tmp_path / "model.nir")
    (found,) = read_nir_back(tmp_path / "model.nir").layers
    assert found.neuron == layer.neuron
    np.testing.assert_array_equal(found.membrane_decay_O, layer.membrane_decay_O)


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first.nir", "second.nir"):
        write_nir(float_network(), tmp_path / name)
    assert (tmp_path / "first.nir").read_bytes() == (tmp_path / "second.nir").read_bytes()


def test_the_nodes_are_those_of_nir(tmp_path: Path) -> None:
    write_nir(float_network("membrane"), tmp_path / "model.nir")
    graph = nir.read(tmp_path / "model.nir", type_check=False)
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    assert kinds == {
        "input": "Input",
        "conv.synapse": "Conv2d",
        "conv.neuron": "LIF",
        "hidden.flatten": "Flatten",
        "hidden.synapse": "Linear",
        "hidden.neuron": "IF",
        "out.synapse": "Affine",
        "out.neuron": "LI",
        "output": "Output",
    }
    assert graph.metadata["dt"] == "0.0105"
    assert graph.metadata["reset"] == "zero"


@pytest.mark.parametrize("decay", [0.5, 0.75, 0.8, 0.9, 0.95, 0.99, 0.25])
@pytest.mark.parametrize("dt", [0.03, 0.01, 0.001, 0.0105])
def test_usual_time_constants_are_exact(decay: float, dt: float) -> None:
    constant, resistance = time_constant(decay, dt)
    assert 1 - dt / constant == decay
    assert dt / constant * resistance == 1
    assert dt * inverse(dt) == 1


@given(st.floats(0.01, 0.999), st.floats(1e-5, 1))
@settings(deadline=None, derandomize=True)
def test_no_time_constant_is_off_by_more_than_one_rounding(decay: float, dt: float) -> None:
    constant, resistance = time_constant(decay, dt)
    assert abs((1 - dt / constant) - decay) <= 2**-52
    assert abs(dt / constant * resistance - 1) <= 2**-52


def test_a_square_kernel_passes_nirs_own_type_check(tmp_path: Path) -> None:
    layer = Layer("only", Dense(np.ones((2, 8))), LIF(0.9, 1.0))
    write_nir(HardSpikeNetwork((2, 2, 2), (layer,), "count", 3, 0.01), tmp_path / "model.nir")
    nir.read(tmp_path / "model.nir")


def test_a_name_with_a_slash_is_refused(tmp_path: Path) -> None:
    layer = Layer("a/b", Dense(np.ones((2, 8))), LIF(0.9, 1.0))
    network = HardSpikeNetwork((2, 2, 2), (layer,), "count", 3, 0.01)
    with pytest.raises(HardspikeError, match="layer 'a/b'"):
        write_nir(network, tmp_path / "model.nir")


def _replace(key: str, value: Any) -> Callable[[Any], None]:
    def edit(file: Any) -> None:
        del file[key]
        file[key] = value

    return edit


DAMAGE: dict[str, tuple[Callable[[Any], None], str]] = {
    "no graph": (lambda file: file.__delitem__("node"), "cannot be read as NIR"),
    "no metadata": (lambda file: file.__delitem__("node/metadata"), "schema: found None"),
    "reset": (
        _replace("node/metadata/reset", "soft"),
        "reset: found 'soft', allowed zero",
    ),
    "dt": (_replace("node/metadata/dt", "soon"), "cannot be read as NIR (ValueError"),
    "other dt": (_replace("node/metadata/dt", "0.02"), "node conv.neuron: found a step of"),
    "no weight": (lambda file: file.__delitem__("node/nodes/out.synapse/weight"), "cannot be read"),
    "no node": (lambda file: file.__delitem__("node/nodes/out.synapse"), "cannot be read as NIR"),
    "v_leak": (
        _replace("node/nodes/conv.neuron/v_leak", np.ones((4, 5, 6))),
        "v_leak: found other biases",
    ),
    "uneven": (
        _replace("node/nodes/conv.neuron/v_threshold", np.arange(120.0).reshape(4, 5, 6)),
        "conv.neuron: v_threshold: found several values",
    ),
    "weight": (_replace("node/nodes/out.synapse/weight", np.ones((3, 5))), "layer out: dense"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_in_one_line(case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.nir"
    write_nir(float_network(), path)
    edit, message = DAMAGE[case]
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(HardspikeError) as caught:
        read_nir_back(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 0.999])
def test_a_truncated_file_ends_in_one_line(share: float, tmp_path: Path) -> None:
    path = tmp_path / "model.nir"
    write_nir(float_network(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(HardspikeError, match="cannot be read as NIR"):
        read_nir_back(path)
