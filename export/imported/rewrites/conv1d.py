"""A one-dimensional convolution as a two-dimensional one, of height 1: (C, W) becomes (C, 1, W)."""

from dataclasses import replace
from typing import Any

from export.imported.graph import (
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Neuron,
    Node,
    Output,
    Scale,
    StepNeuron,
    Threshold,
)
from export.imported.rewrites.rewrite import Applied, Shapes
from export.network import Array, Shape


class Conv1dAsConv2d:
    """Acts on the whole graph at once, for every (C, W) in it gets the new axis."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """A Conv1d, and nothing of two axes that cannot get a third."""
        if not isinstance(graph.nodes[name], Conv1d):
            return False
        return all(
            _lifted(graph.nodes[key], shape, _given(graph, shapes, key)) is not None
            for key, shape in shapes.items()
        )

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Give every node of shape (C, W) its axis H."""
        nodes, named = dict(graph.nodes), []
        for key, shape in shapes.items():
            lifted = _lifted(graph.nodes[key], shape, _given(graph, shapes, key))
            if lifted is not None:
                nodes[key] = lifted
            if isinstance(graph.nodes[key], Conv1d):
                named.append(key)
        return replace(graph, nodes=nodes), Applied(tuple(named), "Conv1d as Conv2d")


def _given(graph: Graph, shapes: Shapes, name: str) -> Shape:
    sources = graph.before(name)
    return shapes[sources[0]] if sources else ()


def _lifted(node: Node, shape: Shape, given: Shape) -> Node | None:
    """Return the node with the new axis where it has two; None where it cannot get one."""
    if len(shape) != 2 and len(given) != 2:
        return node
    match node:
        case Input():
            return Input((shape[0], 1, shape[1]))
        case Output():
            return node
        case Conv1d():
            weight_OIHW = node.weight_OIK[:, :, None, :]
            pairs = (1, node.stride), (0, node.padding), (1, node.dilation)
            return Conv2d(weight_OIHW, node.bias_O, *pairs, node.groups)
        case Flatten():
            return Flatten(0, -1) if len(shape) == 1 else None
        case Scale():
            return Scale(_with_axis(node.scale))
        case Delay():
            return Delay(_with_axis(node.delay))
        case Threshold():
            return Threshold(_with_axis(node.threshold))
        case StepNeuron():
            return replace(node, shape=(shape[0], 1, shape[1]), bias=_with_axis(node.bias))
        case Neuron():
            names = ("r", "tau", "v_leak", "v_threshold", "v_reset", "tau_syn", "w_in")
            lifted: dict[str, Any] = {
                key: _with_axis(value) for key in names if (value := getattr(node, key)) is not None
            }
            return replace(node, **lifted)
        case _:
            return None


def _with_axis(values: Array) -> Array:
    return values[:, None, :] if values.ndim == 2 else values
