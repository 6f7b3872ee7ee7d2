"""ONNX files that ask for more than lies in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from export.errors import HardspikeError
from export.onnx_guard import read_guarded
from export.onnx_model import write_sequence, write_step
from tests.export.networks import fixed_network


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_sequence(fixed_network(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_our_files_pass(path: Path) -> None:
    assert read_guarded(path).graph.node
    write_step(fixed_network(), path)
    assert read_guarded(path).graph.node


def _outside(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _outside_in_a_node(model: Any) -> None:
    tensor = TensorProto(name="t", data_type=1, data_location=TensorProto.EXTERNAL)
    model.graph.node.append(helper.make_node("Constant", [], ["t"], value=tensor))


def _huge(model: Any) -> None:
    model.graph.initializer.append(TensorProto(name="t", data_type=1, dims=[1 << 62, 4]))


def _below_zero(model: Any) -> None:
    model.graph.initializer.append(TensorProto(name="t", data_type=1, dims=[-1]))


def _function(model: Any) -> None:
    model.functions.add(name="f")


def _name(model: Any) -> None:
    model.graph.node[0].name = "\x1b[2J"


def _no_graph(model: Any) -> None:
    model.ClearField("graph")


def _nested(model: Any) -> None:
    graph = onnx.GraphProto(name="inner")
    for _ in range(12):
        node = onnx.NodeProto(op_type="If")
        node.attribute.add(name="then_branch", type=5, g=graph)
        graph = onnx.GraphProto(name="outer", node=[node])
    model.graph.node.append(graph.node[0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_outside, "found data in another file, allowed in this one"),
        (_outside_in_a_node, "found data in another file, allowed in this one"),
        (_huge, "found 0 elements, allowed"),
        (_below_zero, "found sizes [-1]"),
        (_function, "found functions or training"),
        (_name, r"name '\x1b[2J': found 4 characters"),
        (_no_graph, "found no graph"),
        (_nested, "found graphs nested deeper than 8"),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[Any], None], says: str, path: Path) -> None:
    model = onnx.load_model_from_string(path.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(HardspikeError) as raised:
        read_guarded(path)
    assert says in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_too_long_is_not_read(path: Path) -> None:
    with pytest.raises(HardspikeError, match="allowed up to 100"):
        read_guarded(path, 100)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(HardspikeError, match="found no regular file"):
        read_guarded(tmp_path)
