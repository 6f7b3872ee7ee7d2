"""netx files: round trips, the layout that lava-dl reads, and damage in one line."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from export.netx_file import read_netx, write_netx
from tests.conformance.random_networks import networks
from tests.export.networks import fixed_network


def _assert_equal(found: FixedPointNetwork, wanted: FixedPointNetwork) -> None:
    for field in ("input_shape", "shapes", "readout", "steps", "dt", "classes", "input_max"):
        assert getattr(found, field) == getattr(wanted, field), field
    for ours, theirs in zip(wanted.layers, found.layers, strict=True):
        assert (ours.name, ours.neuron, ours.scale) == (theirs.name, theirs.neuron, theirs.scale)
        assert type(ours.synapse) is type(theirs.synapse)
        np.testing.assert_array_equal(theirs.synapse.weight, ours.synapse.weight)
        assert (ours.synapse.bias_O is None) == (theirs.synapse.bias_O is None)
        if ours.synapse.bias_O is not None:
            np.testing.assert_array_equal(theirs.synapse.bias_O, ours.synapse.bias_O)
        if isinstance(ours.synapse, Conv) and isinstance(theirs.synapse, Conv):
            assert ours.synapse.stride == theirs.synapse.stride
            assert ours.synapse.padding == theirs.synapse.padding


@given(networks())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_random_networks_come_back(
    tmp_path_factory: pytest.TempPathFactory, network: FixedPointNetwork
) -> None:
    path = tmp_path_factory.mktemp("netx") / "model.net"
    write_netx(network, path)
    _assert_equal(read_netx(path), network)


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first.net", "second.net"):
        write_netx(fixed_network(), tmp_path / name)
    assert (tmp_path / "first.net").read_bytes() == (tmp_path / "second.net").read_bytes()


def test_the_layout_is_netx(tmp_path: Path) -> None:
    write_netx(fixed_network(current_decay=4094), tmp_path / "model.net")
    with h5py.File(tmp_path / "model.net") as file:
        kinds = [bytes(file[f"layer/{index}/type"][0]) for index in range(5)]
        assert kinds == [b"input", b"conv", b"flatten", b"dense", b"dense"]
        assert list(file["layer/0"]) == ["shape", "type"]
        assert file["layer/1/shape"][()].tolist() == [4, 5, 6]
        assert file["layer/1/stride"][()].tolist() == [2, 1]
        assert file["layer/1/padding"][()].tolist() == [1, 0]
        neuron = {key: file[f"layer/1/neuron/{key}"][()] for key in file["layer/1/neuron"]}
        assert neuron.pop("type").tolist() == [b"CUBA"]
        expected = {"iDecay": 4095, "vDecay": 300, "vThMant": 2000, "refDelay": 1}
        assert {key: int(value) for key, value in neuron.items()} == {**expected, "gradedSpike": 0}
        assert "bias" not in file["layer/3"]


def test_a_first_dense_layer_follows_a_flatten(tmp_path: Path) -> None:
    layer = Layer("only", Dense(np.array([[2, -4, 6, 8]])), LoihiLIF(0, 5))
    network = FixedPointNetwork((1, 2, 2), (layer,), "count", 1, 1.0)
    write_netx(network, tmp_path / "model.net")
    with h5py.File(tmp_path / "model.net") as file:
        assert bytes(file["layer/1/type"][0]) == b"flatten"
    _assert_equal(read_netx(tmp_path / "model.net"), network)


def test_a_number_over_its_register_is_not_written(tmp_path: Path) -> None:
    layer = Layer("only", Dense(np.array([[2, 256]])), LoihiLIF(0, 5))
    with pytest.raises(HardspikeError, match="layer only: weight: found 256, allowed"):
        write_netx(FixedPointNetwork((1, 1, 2), (layer,), "count", 1, 1.0), tmp_path / "a.net")
    assert not list(tmp_path.iterdir())


def _replace(key: str, value: Any) -> Callable[[Any], None]:
    def edit(file: Any) -> None:
        del file[key]
        file[key] = value

    return edit


def _drop(key: str) -> Callable[[Any], None]:
    return lambda file: file.__delitem__(key)


def _attribute(key: str, value: Any) -> Callable[[Any], None]:
    return lambda file: file.attrs.__setitem__(key, value)


DAMAGE: dict[str, tuple[Callable[[Any], None], str]] = {
    "no layers": (_drop("layer"), "layer: the group is missing"),
    "a layer lost": (_drop("layer/3"), "layer/3: the group is missing"),
    "no weight": (_drop("layer/1/weight"), "layer/1/weight: the field is missing"),
    "no neuron": (_drop("layer/1/neuron"), "layer/1/neuron/type: the field is missing"),
    "no decay": (_drop("layer/1/neuron/iDecay"), "layer/1/neuron/iDecay: the field is missing"),
    "float weight": (_replace("layer/3/weight", np.zeros((6, 120))), "layer/3/weight: found float"),
    "flat weight": (_replace("layer/3/weight", np.zeros(720, int)), "layer/3/weight: found int"),
    "short weight": (_replace("layer/3/weight", np.zeros((6, 9), int)), "layer/3/weight: dense"),
    "heavy weight": (
        _replace("layer/4/weight", np.full((3, 6), 300)),
        "layer out: weight: found 300, allowed even",
    ),
    "huge weight": (
        _replace("layer/4/weight", np.full((3, 6), 2**32 + 2)),
        "layer/4/weight: found 4294967298, allowed 32 bits",
    ),
    "short bias": (_replace("layer/4/bias", np.zeros(2, int)), "layer/4/bias: found int64"),
    "heavy bias": (_replace("layer/4/bias", np.full(3, 5000)), "layer out: bias: found 5000"),
    "other type": (_replace("layer/3/type", np.array([b"pool"])), "layer/3/type: found 'pool'"),
    "second input": (_replace("layer/1/type", np.array([b"input"])), "layer/1/type: found 'input'"),
    "number for type": (_replace("layer/1/type", 3), "layer/1/type: found int64, allowed ASCII"),
    "other neuron": (_replace("layer/1/neuron/type", np.array([b"RF"])), "neuron/type: allowed"),
    "graded": (_replace("layer/1/neuron/gradedSpike", 1), "neuron/gradedSpike: found 1, allowed 0"),
    "decay 0": (_replace("layer/1/neuron/iDecay", -1), "current_decay: found -2, allowed"),
    "leak": (_replace("layer/1/neuron/vDecay", 4097), "membrane_decay: found 4097, allowed"),
    "threshold": (_replace("layer/1/neuron/vThMant", 1 << 18), "threshold: found 262144, allowed"),
    "stride 0": (_replace("layer/1/stride", [0, 1]), "layer/1/stride: found"),
    "padding": (_replace("layer/1/padding", [-1, 0]), "layer/1/padding: found"),
    "groups": (_replace("layer/1/groups", 3), "layer/1/weight: conv groups"),
    "shape": (_replace("layer/1/shape", [4, 6, 5]), "layer/1/shape: found"),
    "input shape": (_replace("layer/0/shape", [2, 9]), "layer/0/shape: found int64"),
    "empty input": (_replace("layer/0/shape", [2, 0, 7]), "layer/0/shape: found"),
    "schema": (_attribute("schema", "other/9"), "schema: found 'other/9', allowed"),
    "no schema": (
        lambda file: file.attrs.__delitem__("schema"),
        "schema: the attribute is missing",
    ),
    "readout": (_attribute("readout", "mean"), "readout: found 'mean', allowed count, membrane"),
    "readout 3": (_attribute("readout", 3), "readout: found 3, allowed text"),
    "steps": (_attribute("steps", 2.5), "steps: found 2.5, allowed one integer"),
    "steps 0": (_attribute("steps", 0), "steps and dt: found 0"),
    "dt": (_attribute("dt", np.nan), "dt: found nan, allowed one positive"),
    "input_max": (_attribute("input_max", 256), "input_max: found 256, allowed 1 to 255"),
    "classes": (_attribute("classes", "{"), "classes: is not a JSON list"),
    "classes 2": (_attribute("classes", '["a", "b"]'), "classes: found 2, the last layer has 3"),
    "classes 3": (_attribute("classes", "3"), "classes: found 3, allowed a list of names"),
    "names": (_attribute("layer_names", '["a"]'), "layer_names: found 1, the file has 3 layers"),
    "scales": (_attribute("scales", [1.0, -1.0, 1.0]), "scales: found"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_in_one_line(case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.net"
    write_netx(fixed_network(), path)
    edit, message = DAMAGE[case]
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(HardspikeError) as caught:
        read_netx(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_ends_in_one_line(share: float, tmp_path: Path) -> None:
    path = tmp_path / "model.net"
    write_netx(fixed_network(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(HardspikeError) as caught:
        read_netx(path)
    assert len(str(caught.value).splitlines()) == 1


def test_an_absent_file_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(HardspikeError, match=r"none\.net: found no file there"):
        read_netx(tmp_path / "none.net")


def test_any_flipped_byte_ends_in_one_line_or_none(tmp_path: Path) -> None:
    """Whatever HDF5 makes of it, no other exception leaves the reader."""
    path = tmp_path / "model.net"
    write_netx(fixed_network(), path)
    data, rng = path.read_bytes(), np.random.default_rng(1)
    for position in rng.integers(0, len(data), 300):
        changed = bytearray(data)
        changed[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(changed))
        with contextlib.suppress(HardspikeError):
            read_netx(path)
