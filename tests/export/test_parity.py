"""Deployed files are read back; a difference names file and layer; damage is one line."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF
from export.netx_file import write_netx
from export.nir_graph import write_nir
from export.onnx_model import write_sequence, write_step
from export.onnx_reader import read_onnx_info
from export.parity import check_deployed
from tests.export.networks import fixed_network, float_network

FORMS = ("model.sequence.onnx", "model.step.onnx")


def _deploy(folder: Path, network: FixedPointNetwork) -> None:
    write_netx(network, folder / "model.net")
    write_nir(float_network(network.readout), folder / "model.nir")
    write_sequence(network, folder / "model.sequence.onnx")
    write_step(network, folder / "model.step.onnx")


@pytest.mark.parametrize("readout", ["count", "membrane"])
@pytest.mark.parametrize("current_decay", [4095, 0])
def test_what_was_written_is_equal(readout: Any, current_decay: int, tmp_path: Path) -> None:
    network = fixed_network(readout, current_decay)
    _deploy(tmp_path, network)
    found = check_deployed(tmp_path, float_network(readout), network)
    assert {entry.file for entry in found} == {"model.net", "model.nir", *FORMS}
    assert len(found) == 4 * 5
    assert all(entry.difference == entry.tolerance == 0 for entry in found)


def _changed(part: str) -> FixedPointNetwork:
    network = fixed_network()
    layer = network.layers[2]
    weight, bias = layer.synapse.weight.copy(), np.array(layer.synapse.bias_O)
    neuron = dataclasses.asdict(layer.neuron)
    if part == "weight":
        weight[0, 0] = 2 if weight[0, 0] != 2 else 4
    elif part == "bias":
        bias[0] = 1 if bias[0] != 1 else 2
    else:
        neuron[part] = 77
    last = Layer(layer.name, Dense(weight, bias), LoihiLIF(**neuron), layer.scale)
    return dataclasses.replace(network, layers=(*network.layers[:2], last))


@pytest.mark.parametrize("name", ["model.net", *FORMS])
@pytest.mark.parametrize("part", ["weight", "bias", "threshold", "membrane_decay"])
def test_a_difference_names_file_and_layer(name: str, part: str, tmp_path: Path) -> None:
    network = fixed_network()
    _deploy(tmp_path, network)
    writers = {"model.net": write_netx, FORMS[0]: write_sequence, FORMS[1]: write_step}
    writers[name](_changed(part), tmp_path / name)
    with pytest.raises(HardspikeError) as caught:
        check_deployed(tmp_path, float_network(), network)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / name}: ")
    assert "layer out" in text or "readout" in text


def test_another_float_network_names_the_nir_file(tmp_path: Path) -> None:
    _deploy(tmp_path, fixed_network())
    write_nir(float_network("membrane"), tmp_path / "model.nir")
    with pytest.raises(HardspikeError, match=r"model\.nir: readout: found 'membrane'"):
        check_deployed(tmp_path, float_network(), fixed_network())


@pytest.mark.parametrize("write", [write_step, write_sequence])
def test_the_same_network_gives_the_same_bytes(write: Any, tmp_path: Path) -> None:
    for name in ("first.onnx", "second.onnx"):
        write(fixed_network(), tmp_path / name)
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_the_metadata_of_onnx(tmp_path: Path) -> None:
    write_sequence(fixed_network(), tmp_path / "model.onnx")
    info = read_onnx_info(tmp_path / "model.onnx")
    assert info.metadata["schema"] == "hardspike.onnx/1"
    assert info.metadata["form"] == "sequence"
    assert float(info.metadata["dt"]) == 0.0105
    assert info.inputs == {"spikes": ("B", "T", 2, 9, 7)}
    assert info.outputs["output"] == ("B", "T", 3)
    assert info.outputs["spikes/conv"] == ("B", "T", 120)


def test_dense_weights_are_bytes_while_inputs_allow_it(tmp_path: Path) -> None:
    for input_max, dtype in ((127, np.int8), (128, np.float32)):
        layer = Layer("only", Dense(np.array([[2, -4]])), LoihiLIF(0, 5))
        network = FixedPointNetwork((1, 1, 2), (layer,), "count", 1, 1.0, input_max=input_max)
        write_step(network, tmp_path / "model.onnx")
        assert read_onnx_info(tmp_path / "model.onnx").tensors["only.weight"].dtype == dtype


def test_sums_beyond_24_bits_are_refused(tmp_path: Path) -> None:
    layer = Layer("wide", Dense(np.full((1, 129), -256)), LoihiLIF(0, 5))
    network = FixedPointNetwork((1, 1, 129), (layer,), "count", 1, 1.0, input_max=255)
    with pytest.raises(HardspikeError, match="layer wide: accumulator: found sums up to 8421120"):
        write_sequence(network, tmp_path / "model.onnx")


def test_a_filtered_current_beyond_32_bits_is_refused(tmp_path: Path) -> None:
    layer = Layer("wide", Dense(np.full((1, 128), -256)), LoihiLIF(0, 5, 0))
    network = FixedPointNetwork((1, 1, 128), (layer,), "count", 99, 1.0, input_max=255)
    with pytest.raises(HardspikeError, match="layer wide: current: found up to"):
        write_step(network, tmp_path / "model.onnx")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.99])
def test_a_truncated_onnx_ends_in_one_line(share: float, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_sequence(fixed_network(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(HardspikeError) as caught:
        read_onnx_info(path)
    assert str(caught.value).startswith(f"{path}: is not a valid ONNX model")
    assert len(str(caught.value).splitlines()) == 1


def test_an_absent_onnx_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(HardspikeError, match="cannot be read"):
        read_onnx_info(tmp_path / "none.onnx")


def test_an_edited_graph_is_not_valid(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_step(fixed_network(), path)
    model = onnx.load(path)
    del model.graph.node[3]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(HardspikeError, match="is not a valid ONNX model"):
        read_onnx_info(path)
