"""Parsing an ONNX file that nobody vouches for.

A small ONNX file can ask for much: tensors in other files, sizes without data, functions that call
themselves, graphs in graphs. `read_guarded` parses the file once and walks all of it before any
shape is inferred or any tensor made, so that what follows works on a model of bounded size that
lies in the file alone. Field names: onnx.proto3 of ONNX 1.23.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper

from export.errors import HardspikeError
from export.files import read_regular

LIMIT_BYTES = 256 << 20
"""Of a file on disk, with all of its tensors in it."""
MOST_NODES, MOST_TENSORS, MOST_DEPTH, LONGEST_NAME = 20_000, 20_000, 8, 400
MOST_ELEMENTS = 1 << 26
"""Of an input or an output."""
_UNUSED = ("sparse_initializer", "quantization_annotation")
_NUMBERS = {
    *(TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BOOL),
    *(TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64),
}


def read_guarded(path: Path, limit_bytes: int = LIMIT_BYTES) -> onnx.ModelProto:
    """Parse `path`, all of it checked.

    Raises:
        HardspikeError: the file is absent, no regular file, too long or no ONNX; holds data in
            another file, functions, sparse tensors, sizes that its data do not have, more nodes or
            graphs in graphs than any of ours. One line.
    """
    content = read_regular(path, limit_bytes)
    try:
        model = onnx.load_model_from_string(content)
        _Walk().check(model)
    except (DecodeError, HardspikeError, UnicodeDecodeError) as error:
        raise HardspikeError(f"{path}: is not a valid ONNX model ({error})") from error
    return model


class _Walk:
    """Visits every graph, node and tensor of a model once."""

    def __init__(self) -> None:
        self._nodes = self._tensors = 0

    def check(self, model: onnx.ModelProto) -> None:
        """Check a model."""
        if not model.HasField("graph"):
            raise HardspikeError("found no graph")
        if model.functions or model.training_info:
            raise HardspikeError("found functions or training, allowed is one graph")
        waiting = [(model.graph, 0)]
        while waiting:
            graph, depth = waiting.pop()
            if depth > MOST_DEPTH:
                raise HardspikeError(f"found graphs nested deeper than {MOST_DEPTH}")
            waiting += [(inner, depth + 1) for inner in self._graph(graph)]

    def _graph(self, graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
        """Check a graph; yield the graphs in its nodes."""
        for field in _UNUSED:
            if getattr(graph, field):
                raise HardspikeError(f"found {field}, allowed is none")
        for values in (graph.input, graph.output, graph.value_info):
            for value in values:
                _check_size(value)
        for tensor in graph.initializer:
            self._tensor(tensor)
        self._nodes += len(graph.node)
        if self._nodes > MOST_NODES:
            raise HardspikeError(f"found more than {MOST_NODES} nodes")
        for node in graph.node:
            yield from self._node(node)

    def _node(self, node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
        for name in (node.name, *node.input, *node.output):
            _check_name(name)
        for attribute in node.attribute:
            if attribute.graphs or attribute.tensors or attribute.HasField("sparse_tensor"):
                raise HardspikeError(f"node {node.name}: found an attribute of many, allowed one")
            if attribute.HasField("t"):
                self._tensor(attribute.t)
            if attribute.HasField("g"):
                yield attribute.g

    def _tensor(self, tensor: onnx.TensorProto) -> None:
        self._tensors += 1
        _check_name(tensor.name)
        if self._tensors > MOST_TENSORS:
            raise HardspikeError(f"found more than {MOST_TENSORS} tensors")
        if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
            raise HardspikeError(f"{tensor.name}: found data in another file, allowed in this one")
        if tensor.data_type not in _NUMBERS or tensor.HasField("segment"):
            raise HardspikeError(f"{tensor.name}: found type {tensor.data_type}, allowed numbers")
        if any(size < 0 for size in tensor.dims) or len(tensor.dims) > 8:
            raise HardspikeError(f"{tensor.name}: found sizes {list(tensor.dims)[:9]}")
        wanted, found = math.prod(tensor.dims), _stored(tensor)
        if wanted != found:
            raise HardspikeError(
                f"{tensor.name}: found {found} elements, allowed {wanted} as its sizes say"
            )


def _stored(tensor: onnx.TensorProto) -> int:
    """Return how many elements of its type a tensor holds."""
    if tensor.HasField("raw_data"):
        width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        whole, rest = divmod(len(tensor.raw_data), width)
        return -1 if rest else whole
    return len(getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type)))


def _check_size(value: onnx.ValueInfoProto) -> None:
    _check_name(value.name)
    sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim if dim.HasField("dim_value")]
    if any(size < 0 for size in sizes) or math.prod(sizes) > MOST_ELEMENTS or len(sizes) > 8:
        raise HardspikeError(
            f"{value.name}: found sizes {sizes[:9]}, allowed up to {MOST_ELEMENTS} elements"
        )


def _check_name(name: str | bytes) -> None:
    """Check a name, which is bytes where it is not UTF-8."""
    if isinstance(name, bytes) or len(name) > LONGEST_NAME or not name.isprintable():
        raise HardspikeError(
            f"name {name[:40]!r}: found {len(name)} characters, "
            f"allowed up to {LONGEST_NAME} that print"
        )
