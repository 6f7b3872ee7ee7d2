"""The axis of recordings that a toolkit leaves in front of a graph's shapes, dropped.

NIR's shapes have no batch, yet Norse writes the shape of the sample it exports by, (1, N). Where
that axis is 1 long, every node computes the same without it:

    Linear, convolutions, pools   see one recording by itself
    Flatten of axes s to e        joins s−1 to e−1; with s = 0 and e > 0 it takes the axis in, joins
                                  0 to e−1, and nothing behind it has the axis
    Scale, Delay, Threshold,      parameters of shape (1, *shape) are those of `shape`; others stay,
    neurons                       as those of (1, H, W) behind a convolution of one channel

What the shapes of a graph meet with is no such axis: (1, W) in front of a Conv1d and (1, H, W) in
front of a Conv2d of one channel stay.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from export.errors import HardspikeError
from export.imported.faults import Fault
from export.imported.graph import Delay, Flatten, Graph, Input, Neuron, Node, Scale, Threshold
from export.imported.rewrites.rewrite import Applied
from export.imported.shapes import infer_shapes, output_shape
from export.network import Shape

_OF_ONE_RECORDING = (1, 3)
"""Axes of (N,) and (C, H, W); (C, W) is found by the convolution that takes it."""


@dataclass(frozen=True, eq=False)
class WithoutAxis:
    """A graph without an axis of recordings; what was done, or why that is not allowed."""

    graph: Graph
    applied: tuple[Applied, ...] = ()
    faults: tuple[Fault, ...] = ()


def without_recordings_axis(graph: Graph) -> WithoutAxis:
    """Return the graph without a leading axis that it cannot take, where it can without.

    An axis of several recordings is a fault of the input's.
    """
    name, shape = _input(graph)
    if name is None or shape is None or len(shape) < 2 or _meets(graph, shape):
        return WithoutAxis(graph)
    try:
        dropped = _dropped(graph, name, shape[1:])
    except HardspikeError:
        return WithoutAxis(graph)
    first = not _readers_take(graph, name, shape) and _readers_take(dropped, name, shape[1:])
    if not first and not _meets(dropped, shape[1:]):
        return WithoutAxis(graph)
    if shape[0] == 1:
        done = Applied((name,), "axis of recordings of length 1 dropped")
        return WithoutAxis(dropped, applied=(done,))
    says = (
        f"shape: found {shape}, and what follows takes {shape[1:]}: an axis of {shape[0]} "
        "recordings; allowed is one, export the network by a sample of one recording"
    )
    return WithoutAxis(dropped, faults=(Fault(name, says),))


def _input(graph: Graph) -> tuple[str | None, Shape | None]:
    """Return the only input and its shape; None where there are several, or it has none."""
    found = [(name, node) for name, node in graph.nodes.items() if isinstance(node, Input)]
    return (found[0][0], found[0][1].shape) if len(found) == 1 else (None, None)


def _meets(graph: Graph, shape: Shape) -> bool:
    """Whether all shapes meet, and the input's is one that a recording may have."""
    try:
        infer_shapes(graph)
    except HardspikeError:
        return False
    # Two axes that meet are a Conv1d's, which does not meet one; else they would be refused.
    return len(shape) in _OF_ONE_RECORDING


def _readers_take(graph: Graph, name: str, shape: Shape) -> bool:
    try:
        for reader in graph.after(name):
            output_shape(graph.nodes[reader], shape)
    except HardspikeError:
        return False
    return bool(graph.after(name))


def _dropped(graph: Graph, name: str, shape: Shape) -> Graph:
    """Return the graph with `shape` at its input, and every node as the axis in front had it.

    Raises:
        HardspikeError: a flatten joins axes that are not there.
    """
    nodes = {**graph.nodes, name: Input(shape)}
    shapes, has_axis, waiting = {name: shape}, {name: True}, [name]
    for source in waiting:
        for target in graph.after(source):
            if target in shapes:
                continue
            if has_axis[source]:
                nodes[target] = _without(nodes[target], shapes[source])
            try:
                shapes[target] = output_shape(nodes[target], shapes[source])
            except HardspikeError:
                continue  # named by whoever infers the shapes of the result
            taken_in = has_axis[source] and _takes_axis_in(graph.nodes[target], shapes[source])
            has_axis[target] = has_axis[source] and not taken_in
            waiting.append(target)
    return replace(graph, nodes=nodes)


def _without(node: Node, given: Shape) -> Node:
    """Return a node as it is behind `given`, where it stood behind (1, *given).

    Raises:
        HardspikeError: a flatten joins axes that are not there.
    """
    match node:
        case Flatten():
            output_shape(node, (1, *given))  # raises where the axes are none of those
            start, end = (_counted(axis, given) for axis in (node.start, node.end))
            return Flatten(max(start - 1, 0), max(end - 1, 0))
        case Scale() | Delay() | Threshold() | Neuron():
            values = {item.name: getattr(node, item.name) for item in fields(node)}
            squeezed: dict[str, Any] = {
                key: value[0]
                for key, value in values.items()
                if isinstance(value, np.ndarray) and value.shape == (1, *given)
            }
            return replace(node, **squeezed)
        case _:
            return node


def _counted(axis: int, given: Shape) -> int:
    """Return an axis of (1, *given), counted from the first."""
    return axis + 1 + len(given) if axis < 0 else axis


def _takes_axis_in(node: Node, given: Shape) -> bool:
    """Whether a node as its file has it joins the axis with others."""
    return isinstance(node, Flatten) and 0 == _counted(node.start, given) < _counted(
        node.end, given
    )
