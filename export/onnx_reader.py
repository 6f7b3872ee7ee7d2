"""Reading back an ONNX file that `export.onnx_model` wrote."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from export.errors import HardspikeError
from export.network import Array
from export.onnx_guard import read_guarded


@dataclass(frozen=True, eq=False)
class OnnxInfo:
    """What an ONNX file holds: its metadata, its constants and threshold nodes by name.

    `tensors` are the initialisers of the graph and of the Scans inside; `thresholds` the values
    that a membrane must exceed for `<layer>.fired` to be a spike, `resets` those that it must
    exceed for `<layer>.v.after` to be zero; `inputs` and `outputs` are sizes by name.
    """

    metadata: dict[str, str]
    tensors: dict[str, Array]
    thresholds: dict[str, float]
    resets: dict[str, float]
    inputs: dict[str, tuple[int | str, ...]]
    outputs: dict[str, tuple[int | str, ...]]


def read_onnx_info(path: Path) -> OnnxInfo:
    """Read and check an ONNX file.

    Raises:
        HardspikeError: the file is absent, no ONNX, damaged, or not a valid model. One line.
    """
    return onnx_info(read_guarded(path), path)


def onnx_info(model: onnx.ModelProto, path: Path) -> OnnxInfo:
    """Check a model that `export.onnx_guard` parsed from `path`.

    Raises:
        HardspikeError: it is not a valid model. One line.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
        graphs = list(_graphs(model.graph))
        return OnnxInfo(
            metadata={entry.key: entry.value for entry in model.metadata_props},
            tensors={
                tensor.name: np.asarray(numpy_helper.to_array(tensor))
                for graph in graphs
                for tensor in graph.initializer
            },
            thresholds=_limits(graphs, "HardSigmoid", "beta", ".fired", 0),
            resets=_limits(graphs, "ThresholdedRelu", "alpha", ".v.after", 1),
            inputs=_sizes(model.graph.input),
            outputs=_sizes(model.graph.output),
        )
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        IndexError,
        RuntimeError,
        TypeError,
        UnicodeDecodeError,
        ValueError,
    ) as error:
        raise HardspikeError(f"{path}: is not a valid ONNX model ({error})") from error


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _limits(
    graphs: list[onnx.GraphProto], op: str, attribute: str, suffix: str, below: int
) -> dict[str, float]:
    """Return by layer the limit that nodes of one kind hold negated, and `below` it."""
    return {
        node.name.removesuffix(suffix): -value.f - below
        for graph in graphs
        for node in graph.node
        for value in node.attribute
        if node.op_type == op and node.name.endswith(suffix) and value.name == attribute
    }


def _sizes(values: "list[onnx.ValueInfoProto]") -> dict[str, tuple[int | str, ...]]:
    return {
        value.name: tuple(
            size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim
        )
        for value in values
    }
