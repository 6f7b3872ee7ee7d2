"""NIR files that nobody vouches for, as graphs.

The file is opened by `export.hdf5_guard`, so what is read is bounded, and no code of the nir
package runs on it. A graph inside a graph becomes part of the outer one, its nodes named
`outer.inner`.
"""

import json
from pathlib import Path

import h5py
import numpy as np

from export.errors import HardspikeError
from export.hdf5_guard import open_guarded
from export.imported.graph import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
    Edge,
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
from export.imported.nir_fields import LARGEST, Fields, decoded, short
from export.metadata import NIR_SCHEMA
from export.network import Array, Shape
from export.neurons import LONGEST_REFRACTORY

MOST_NODES, MOST_EDGES, LONGEST_NAME = 400, 1600, 200
MOST_BYTES = 64 << 20
"""Of a file's numbers: rewriting them takes several times as much."""
KINDS = (
    *(
        "Affine",
        "AvgPool2d",
        "Conv1d",
        "Conv2d",
        "CubaLI",
        "CubaLIF",
        "Delay",
        "Flatten",
        "I",
        "IF",
    ),
    *("Input", "LI", "LIF", "Linear", "NIRGraph", "Output", "Scale", "SumPool2d", "Threshold"),
)
"""Every node of NIR 1.0.8."""
_NEURONS = {
    "LIF": ("tau", "v_leak", "v_threshold"),
    "IF": ("v_threshold",),
    "LI": ("tau", "v_leak"),
    "I": (),
    "CubaLIF": ("tau_mem", "tau_syn", "v_leak", "v_threshold"),
    "CubaLI": ("tau_mem", "tau_syn", "v_leak"),
}


def read_nir_graph(path: Path, limit_bytes: int = MOST_BYTES) -> Graph:
    """Read a NIR file.

    Raises:
        HardspikeError: the file is absent, damaged or hostile; holds a node of an unknown type or
            without one of its fields; or edges that name no node. One line with file and node.
    """
    with open_guarded(path, limit_bytes) as file:
        root = file.get("node")
        if not isinstance(root, h5py.Group):
            raise HardspikeError("node: found none, allowed is a NIR file with a graph in it")
        fields = Fields(root, "node")
        if (kind := fields.text("type")) != "NIRGraph":
            raise HardspikeError(f"node: type: found {(kind or 'none')[:40]!r}, allowed NIRGraph")
        metadata = fields.metadata()
        fields.ours = metadata.get("schema") == NIR_SCHEMA
        nodes, edges = _graph(fields, "")
    return Graph(nodes, tuple(dict.fromkeys(edges)), metadata)


def _graph(fields: Fields, prefix: str) -> tuple[dict[str, Node], list[Edge]]:
    group = fields.group.get("nodes")
    if not isinstance(group, h5py.Group) or len(group) > MOST_NODES:
        count = "no nodes" if not isinstance(group, h5py.Group) else f"{len(group)} nodes"
        raise HardspikeError(f"{fields.name}: found {count}, allowed 1 to {MOST_NODES}")
    nodes: dict[str, Node] = {}
    edges, inner = _edges(fields, prefix), dict[str, Graph]()
    for key in group:
        name = f"{prefix}{key}"
        if not isinstance(group[key], h5py.Group) or len(name) > LONGEST_NAME:
            raise HardspikeError(f"node {name[:LONGEST_NAME]}: found no node with a short name")
        if not name.isprintable():
            raise HardspikeError(f"node {name!r}: the name holds characters that do not print")
        node = Fields(group[key], name, fields.ours)
        if node.text("type") == "NIRGraph":
            below, inside = _graph(node, f"{name}.")
            inner[name] = Graph(below, tuple(inside))
        else:
            nodes[name] = _node(node)
    unknown = sorted({end for edge in edges for end in edge} - nodes.keys() - inner.keys())
    if unknown:
        raise HardspikeError(f"edges: found {unknown[0]!r}, allowed is the name of a node")
    for name, graph in inner.items():
        nodes, edges = _inlined(nodes, edges, name, graph)
    if len(nodes) > MOST_NODES or len(edges) > MOST_EDGES:
        raise HardspikeError(
            f"found {len(nodes)} nodes and {len(edges)} edges, "
            f"allowed up to {MOST_NODES} and {MOST_EDGES}"
        )
    return nodes, edges


def _inlined(
    nodes: dict[str, Node], edges: list[Edge], name: str, inner: Graph
) -> tuple[dict[str, Node], list[Edge]]:
    """Put a graph in the place of the node `name`."""
    try:
        first, last = inner.the_one(Input), inner.the_one(Output)
    except HardspikeError as error:
        raise HardspikeError(f"node {name} (NIRGraph): {error}") from error
    edges = [
        (last if source == name else source, first if target == name else target)
        for source, target in edges
    ]
    whole = Graph({**nodes, **inner.nodes}, (*edges, *inner.edges))
    whole = whole.without(first).without(last)
    return whole.nodes, list(whole.edges)


def _edges(fields: Fields, prefix: str) -> list[Edge]:
    found = fields.data("edges")
    if found is None or found.dtype.kind not in "OS" or found.ndim != 2 or found.shape[1] != 2:
        raise HardspikeError(f"{fields.name}: edges: found no pairs of names")
    if len(found) > MOST_EDGES:
        raise HardspikeError(f"edges: found {len(found)}, allowed up to {MOST_EDGES}")
    pairs = [(prefix + decoded(one), prefix + decoded(two)) for one, two in found[()]]
    return list(dict.fromkeys(pairs))


def _node(fields: Fields) -> Node:
    kind = fields.text("type")
    match kind:
        case "Input":
            return Input(_shape(fields))
        case "Output":
            return Output()
        case "Affine" | "Linear":
            return Linear(_weight(fields, 2), fields.numbers("bias") if kind == "Affine" else None)
        case "Conv1d":
            return _conv1d(fields)
        case "Conv2d":
            return _conv2d(fields)
        case "SumPool2d" | "AvgPool2d":
            kernel, stride = (
                _pair(fields.integers(key, 2, 1)) for key in ("kernel_size", "stride")
            )
            pool = SumPool2d if kind == "SumPool2d" else AvgPool2d
            return pool(kernel, stride, _pair(fields.integers("padding", 2, 0)))
        case "Flatten":
            return Flatten(
                fields.integers("start_dim", 1, -8)[0], fields.integers("end_dim", 1, -8)[0]
            )
        case "Scale":
            return Scale(fields.numbers("scale"))
        case "Delay":
            return Delay(fields.numbers("delay"))
        case "Threshold":
            return Threshold(fields.numbers("threshold"))
        case str() if kind in _NEURONS:
            return _neuron(fields, kind)
        case _:
            raise HardspikeError(
                f"node {fields.name}: type: found {(kind or 'none')[:40]!r}, "
                f"allowed {', '.join(KINDS)}"
            )


def _shape(fields: Fields) -> Shape | None:
    """Return the input's shape, None where the file has none."""
    found = fields.data("shape")
    if found is None or found.size == 0 or found.dtype.kind not in "iu":
        return None
    sizes = tuple(int(size) for size in np.atleast_1d(found[()]).ravel())
    if len(sizes) > 8 or not all(1 <= size <= LARGEST for size in sizes):
        raise HardspikeError(
            f"node {fields.name}: shape: found {short(np.array(sizes))}, allowed sizes from 1"
        )
    return sizes


def _weight(fields: Fields, axes: int) -> Array:
    weight = fields.numbers("weight")
    if weight.ndim != axes:
        raise HardspikeError(
            f"node {fields.name}: weight: found shape {weight.shape}, allowed {axes} axes"
        )
    return weight


def _bias(fields: Fields, outputs: int) -> Array | None:
    """Return a convolution's bias; ours says in the metadata that it had none."""
    if fields.metadata().get("bias") == "none" or fields.data("bias") is None:
        return None
    bias = np.atleast_1d(fields.numbers("bias"))
    if bias.shape != (outputs,):
        raise HardspikeError(
            f"node {fields.name}: bias: found shape {bias.shape}, allowed ({outputs},)"
        )
    return bias


def _conv1d(fields: Fields) -> Conv1d:
    weight = _weight(fields, 3)
    (stride,), (dilation,) = fields.integers("stride", 1, 1), fields.integers("dilation", 1, 1)
    padding = _padding(fields, weight.shape[2:], (stride,), (dilation,))
    (groups,) = fields.integers("groups", 1, 1)
    _check_groups(fields, weight, groups)
    return Conv1d(weight, _bias(fields, len(weight)), stride, padding[0], dilation, groups)


def _conv2d(fields: Fields) -> Conv2d:
    weight = _weight(fields, 4)
    stride, dilation = (_pair(fields.integers(key, 2, 1)) for key in ("stride", "dilation"))
    padding = _pair(_padding(fields, weight.shape[2:], stride, dilation))
    (groups,) = fields.integers("groups", 1, 1)
    _check_groups(fields, weight, groups)
    return Conv2d(weight, _bias(fields, len(weight)), stride, padding, dilation, groups)


def _check_groups(fields: Fields, weight: Array, groups: int) -> None:
    if len(weight) % groups:
        raise HardspikeError(
            f"node {fields.name}: groups: found {groups}, "
            f"allowed a divisor of {len(weight)} outputs"
        )


def _padding(fields: Fields, kernel: Shape, stride: Shape, dilation: Shape) -> Shape:
    """Return the padding of each side, for the words `valid` and `same` too."""
    word = fields.text("padding")
    if word is None:
        return fields.integers("padding", len(kernel), 0)
    if word == "valid":
        return (0,) * len(kernel)
    spans = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
    if word != "same" or any(span % 2 for span in spans) or set(stride) != {1}:
        raise HardspikeError(
            f"node {fields.name}: padding: found {word[:40]!r} with a kernel of {kernel} and a "
            f"stride of {stride}, allowed integers, 'valid', or 'same' for odd kernels of stride 1"
        )
    return tuple(span // 2 for span in spans)


def _pair(values: Shape) -> tuple[int, int]:
    return values[0], values[1]


def _neuron(fields: Fields, kind: str) -> Neuron:
    wanted = _NEURONS[kind]
    found = {key: fields.numbers(key) for key in ("r", *wanted)}
    if "v_threshold" in wanted:
        given = fields.data("v_reset") is not None
        # A file before NIR 1.0 has no v_reset: its neurons reset to zero.
        found["v_reset"] = (
            fields.numbers("v_reset") if given else np.zeros_like(found["v_threshold"])
        )
    if kind.startswith("Cuba"):
        given = fields.data("w_in") is not None
        found["w_in"] = fields.numbers("w_in") if given else np.ones_like(found["r"])
        found["tau"] = found.pop("tau_mem")
    shape = max((value.shape for value in found.values()), key=len)
    for key, value in found.items():
        if value.shape not in ((), (1,), shape):
            raise HardspikeError(
                f"node {fields.name} ({kind}): {key}: found shape {value.shape}, allowed {shape}"
            )
    found = {key: np.broadcast_to(value, shape) for key, value in found.items()}
    return Neuron(
        kind,
        **found,
        decay=_shares(fields, "decay", shape),
        current_decay=_shares(fields, "current_decay", shape),
        refractory=_refractory(fields),
    )


def _shares(fields: Fields, key: str, shape: Shape) -> Array | None:
    """Return the shares that our files say a neuron keeps: a number, or a list of one an output."""
    text = fields.said(key)
    if text is None:
        return None
    try:
        values = np.array(json.loads(text), np.float64)
        column = values.reshape(-1, *(1 for _ in shape[1:])) if values.ndim else values
        return np.array(np.broadcast_to(column, shape))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise HardspikeError(
            f"node {fields.name}: metadata: {key}: found {text[:40]!r}, allowed a number, or a "
            "list of one an output"
        ) from None


def _refractory(fields: Fields) -> int:
    text = fields.said("refractory") or "0"
    if text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= LONGEST_REFRACTORY:
        return int(text)
    raise HardspikeError(
        f"node {fields.name}: metadata: refractory: found {text[:40]!r}, "
        f"allowed 0 to {LONGEST_REFRACTORY} steps"
    )
