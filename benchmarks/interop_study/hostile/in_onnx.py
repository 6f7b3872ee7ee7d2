"""What may be wrong or hostile inside of an ONNX file."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Random = np.random.Generator
OnnxEdit = Callable[[Any, Random], bytes | None]
"""Change a model, or return bytes that are to be the file."""
_GRAPH_FIELD, _NODE_FIELD, _ATTRIBUTE_FIELD, _SUBGRAPH_FIELD = 7, 1, 5, 6


def _weight(model: Any) -> Any:
    """Return the largest initialiser."""
    return max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))


def _external(location: str, **more: str) -> OnnxEdit:
    def edit(model: Any, random: Random) -> None:
        weight = _weight(model)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            entry = weight.external_data.add()
            entry.key, entry.value = key, value

    return edit


def _external_inside(model: Any, random: Random) -> None:
    """Name another file in a constant of a node, not in an initialiser."""
    outside = TensorProto(name="outside", data_type=1, dims=[4])
    _external("/etc/passwd")(_Model(outside), random)
    model.graph.node.insert(0, helper.make_node("Constant", [], ["outside"], value=outside))


class _Model:
    """A model of one tensor."""

    def __init__(self, tensor: Any) -> None:
        self.graph = self
        self.initializer = [tensor]


def _dims(*dims: int, keeps: bool = False) -> OnnxEdit:
    def edit(model: Any, random: Random) -> None:
        weight = _weight(model)
        del weight.dims[:]
        weight.dims.extend(dims)
        if not keeps:
            weight.ClearField("raw_data")

    return edit


def _typed(number: int) -> OnnxEdit:
    def edit(model: Any, random: Random) -> None:
        _weight(model).data_type = number

    return edit


def _filled(value: float) -> OnnxEdit:
    def edit(model: Any, random: Random) -> None:
        weight = _weight(model)
        stored = numpy_helper.to_array(weight)
        changed = np.full(stored.shape, value, np.float32)
        weight.CopyFrom(numpy_helper.from_array(changed, weight.name))

    return edit


def _said(key: str, value: str | None) -> OnnxEdit:
    def edit(model: Any, random: Random) -> None:
        for entry in list(model.metadata_props):
            if entry.key == key:
                if value is None:
                    model.metadata_props.remove(entry)
                else:
                    entry.value = value

    return edit


def _node(kind: str, domain: str = "", **attributes: Any) -> OnnxEdit:
    """Add a node that takes the first constant."""

    def edit(model: Any, random: Random) -> None:
        name = model.graph.initializer[0].name
        node = helper.make_node(kind, [name], ["added"], "added", domain=domain, **attributes)
        model.graph.node.append(node)

    return edit


def _expanded(model: Any, random: Random) -> None:
    """Ask for a constant of 2^60 elements."""
    sizes = numpy_helper.from_array(np.full(3, 1 << 20), "sizes")
    model.graph.initializer.append(sizes)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["sizes"], ["vast"]))


def _circle(model: Any, random: Random) -> None:
    model.graph.node.append(helper.make_node("Neg", ["round"], ["about"]))
    model.graph.node.append(helper.make_node("Neg", ["about"], ["round"]))


def _calls_itself(model: Any, random: Random) -> None:
    """Call a function of the file that calls itself."""
    inside = helper.make_node("Again", ["x"], ["y"], domain="own")
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model.functions.append(helper.make_function("own", "Again", ["x"], ["y"], [inside], opset))
    model.opset_import.append(helper.make_opsetid("own", 1))
    _node("Again", "own")(model, random)


def _calls_double(model: Any, random: Random) -> None:
    """Call a function whose calls double 40 times."""
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for level in range(40):
        kind, domain = (f"F{level - 1}", "own") if level else ("Neg", "")
        inside = [
            helper.make_node(kind, ["x"], ["m"], domain=domain),
            helper.make_node(kind, ["m"], ["y"], domain=domain),
        ]
        made = helper.make_function("own", f"F{level}", ["x"], ["y"], inside, opset)
        model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("own", 1))
    _node("F39", "own")(model, random)


def _many_nodes(model: Any, random: Random) -> None:
    name = model.graph.initializer[0].name
    for index in range(100_000):
        node = model.graph.node.add()
        node.op_type, node.name = "Neg", str(index)
        node.input.append(name)
        node.output.append(f"n{index}")


def _many_constants(model: Any, random: Random) -> None:
    for index in range(100_000):
        constant = model.graph.initializer.add()
        constant.name, constant.data_type = f"c{index}", 1


def _renamed(name: str) -> OnnxEdit:
    """Give a layer another name, wherever the file says it."""

    def edit(model: Any, random: Random) -> None:
        for node in model.graph.node:
            for ends in (node.input, node.output):
                ends[:] = [end.replace("hidden", name) for end in ends]
            node.name = node.name.replace("hidden", name)
        for values in (model.graph.initializer, model.graph.input, model.graph.output):
            for value in values:
                value.name = value.name.replace("hidden", name)

    return edit


def _sized(size: int) -> OnnxEdit:
    def edit(model: Any, random: Random) -> None:
        for value in model.graph.input:
            for dim in value.type.tensor_type.shape.dim[-3:]:
                dim.dim_value = size

    return edit


def _window(key: str, value: int) -> OnnxEdit:
    """Give the convolution another attribute."""

    def edit(model: Any, random: Random) -> None:
        (node,) = (node for node in model.graph.node if node.op_type == "Conv")
        count = {"pads": 4}.get(key, 2)
        for attribute in [old for old in node.attribute if old.name == key]:
            node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute(key, [value] * count))

    return edit


def _deep(levels: int) -> OnnxEdit:
    """Nest subgraphs: a node's attribute holds a graph, whose node holds the next."""

    def edit(model: Any, random: Random) -> bytes:
        inner = b""
        for _ in range(levels):
            attribute = _field(1, b"body") + _field(_SUBGRAPH_FIELD, inner) + b"\xa0\x01\x05"
            node = _field(4, b"If") + _field(_ATTRIBUTE_FIELD, attribute)
            inner = _field(_NODE_FIELD, node)
        return bytes(model.SerializeToString()) + _field(_GRAPH_FIELD, inner)

    return edit


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _appended(more: bytes) -> OnnxEdit:
    return lambda model, random: bytes(model.SerializeToString()) + more


def _no_graph(model: Any, random: Random) -> None:
    model.ClearField("graph")


def _versions(model: Any, random: Random) -> None:
    model.ir_version = (1 << 62) + 3


def _opset(model: Any, random: Random) -> None:
    model.opset_import[0].version = 1 << 40


def _twice(model: Any, random: Random) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _sparse(model: Any, random: Random) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.dims.extend([1 << 40, 1 << 20])
    sparse.values.CopyFrom(helper.make_tensor("sparse", 1, [1], [1.0]))
    sparse.indices.CopyFrom(helper.make_tensor("indices", 7, [1], [5]))


def _long(model: Any, random: Random) -> None:
    model.doc_string = "D" * (80 << 20)


def _no_constants(model: Any, random: Random) -> None:
    del model.graph.initializer[:]


ONNX_EDITS: dict[str, OnnxEdit] = {
    "external data": _external("/etc/passwd"),
    "external data above": _external("../../../../etc/passwd", offset="0", length="64"),
    "external data of 2^60": _external("data.bin", length=str(1 << 60)),
    "external data of a device": _external("/dev/zero"),
    "external data of escapes": _external("\x1b[2J\n\x00"),
    "external constant": _external_inside,
    "declared 2^60": _dims(1 << 30, 1 << 30),
    "declared 2^40, some data": _dims(1 << 40, keeps=True),
    "declared below 0": _dims(-4, 6, keeps=True),
    "declared 0": _dims(0, 6),
    "declared otherwise": _dims(7, keeps=True),
    "32 axes": _dims(*[1] * 40, keeps=True),
    "type of text": _typed(TensorProto.STRING),
    "type undefined": _typed(0),
    "type unknown": _typed(99),
    "type bfloat16": _typed(TensorProto.BFLOAT16),
    "type complex": _typed(TensorProto.COMPLEX128),
    "NaN": _filled(np.nan),
    "infinity": _filled(np.inf),
    "1e30": _filled(1e30),
    "unknown op": _node("Launch"),
    "unknown domain": _node("Launch", "com.example.\x1b[2J"),
    "unknown attribute": _node("Neg", launch=[1.0] * 1000),
    "stray node": _node("Neg"),
    "vast constant": _expanded,
    "circle": _circle,
    "function that calls itself": _calls_itself,
    "functions that double": _calls_double,
    "many nodes": _many_nodes,
    "many constants": _many_constants,
    "name with lines": _renamed("two\nlines"),
    "name with escapes": _renamed("\x1b[2J\x07\u202e"),
    "name upwards": _renamed("../../../etc/passwd"),
    "name of 100000": _renamed("n" * 100_000),
    "name of none": _renamed(""),
    "input of 2^40": _sized(1 << 40),
    "input of 2^14": _sized(1 << 14),
    "input below 0": _sized(-1),
    "pads 2^19": _window("pads", 1 << 19),
    "pads 500": _window("pads", 500),
    "pads below 0": _window("pads", -3),
    "strides 0": _window("strides", 0),
    "dilations 2^40": _window("dilations", 1 << 40),
    "no graph": _no_graph,
    "version of the format": _versions,
    "version of the operators": _opset,
    "constant twice": _twice,
    "sparse": _sparse,
    "long text": _long,
    "no constants": _no_constants,
    "30 subgraphs deep": _deep(30),
    "100 subgraphs deep": _deep(100),
    "10000 subgraphs deep": _deep(10_000),
    "unknown field": _appended(_field(900, b"x" * 1000)),
    "declared length": _appended(b"\x3a\xff\xff\xff\xff\x0f"),
    "no schema": _said("schema", None),
    "another schema": _said("schema", "\x1b[2J\nhardspike: well"),
    "another form": _said("form", "step\x07"),
    "steps 2^62": _said("steps", str(1 << 62)),
    "steps of 10000 digits": _said("steps", "9" * 10_000),
    "dt NaN": _said("dt", "NaN"),
    "dt infinite": _said("dt", "1e999"),
    "classes nested": _said("classes", "[" * 200_000),
    "classes of numbers": _said("classes", "17"),
    "classes of half a pair": _said("classes", '["\\ud800", "b", "c"]'),
    "readout": _said("readout", "\x1b[2J"),
    "input_max below 0": _said("input_max", "-1"),
}


def edit_onnx(whole: bytes, edit: OnnxEdit, random: Random) -> bytes:
    """Return the bytes of the changed file."""
    model = onnx.load_model_from_string(whole)
    made = edit(model, random)
    made = bytes(model.SerializeToString()) if made is None else made
    if made == whole:
        raise ValueError("an edit left the file as it was")
    return made
