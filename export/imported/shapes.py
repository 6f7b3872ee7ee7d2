"""What shape every node of a graph gives, from the input on.

Raises name the node, what it was given and what it takes.
"""

import math
from typing import assert_never

from export.errors import HardspikeError
from export.imported.graph import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Output,
    Scale,
    StepNeuron,
    SumPool2d,
    Threshold,
    in_order,
    kind_of,
)
from export.network import Shape

MOST_VALUES = 1 << 22
"""Values of one node's output, or of its input with padding: 128 channels of 181×181 pixels."""
MOST_IN_ALL = 1 << 23
"""Values of all nodes' outputs together: states and parameters take several times as much."""


def infer_shapes(graph: Graph) -> dict[str, Shape]:
    """Return the shape of every node's output by name.

    Raises:
        HardspikeError: an input without a shape, shapes that do not meet, a node that no input
            leads to, or a cycle without a neuron.
    """
    in_order(graph)
    shapes: dict[str, Shape] = {}
    waiting = [name for name, node in graph.nodes.items() if isinstance(node, Input)]
    for name in waiting:
        shapes[name] = _checked_shape(graph, name, None)
    for source in waiting:
        for name in graph.after(source):
            found = _checked_shape(graph, name, shapes[source])
            if name not in shapes:
                shapes[name] = found
                waiting.append(name)
            elif shapes[name] != found:
                raise HardspikeError(
                    f"node {name}: found inputs that would make it {shapes[name]} and {found}, "
                    "allowed are inputs of one shape"
                )
    if sum(math.prod(shape) for shape in shapes.values()) > MOST_IN_ALL:
        raise HardspikeError(f"found outputs of over {MOST_IN_ALL} values, allowed up to as many")
    lost = sorted(graph.nodes.keys() - shapes.keys())
    if lost:
        raise HardspikeError(f"node {lost[0]}: found no way there from an input, allowed is one")
    return shapes


def _checked_shape(graph: Graph, name: str, given: Shape | None) -> Shape:
    try:
        shape = output_shape(graph.nodes[name], given)
    except HardspikeError as error:
        raise HardspikeError(f"node {name} ({kind_of(graph.nodes[name])}): {error}") from error
    if math.prod(shape) > MOST_VALUES:
        raise HardspikeError(
            f"node {name}: found an output of {shape}, allowed up to {MOST_VALUES} values"
        )
    return shape


def output_shape(node: Node, given: Shape | None) -> Shape:
    """Return the shape of a node's output for an input of shape `given`.

    Raises:
        HardspikeError: the node cannot take that shape.
    """
    match node:
        case Input():
            if node.shape is None:
                raise HardspikeError("found no shape in the file; give --input-shape C,H,W")
            return node.shape
        case _ if given is None:
            raise HardspikeError("found no input")
        case Output():
            return given
        case Linear():
            _fits(given[-1:], node.weight_OI.shape[1:], given)
            return (*given[:-1], node.weight_OI.shape[0])
        case Conv1d():
            _channels(given, 2, node.weight_OIK.shape[1] * node.groups)
            size = _size(
                given[1], node.weight_OIK.shape[2], node.stride, node.padding, node.dilation
            )
            _room(given, (node.padding,))
            return (len(node.weight_OIK), size)
        case Conv2d():
            _channels(given, 3, node.weight_OIHW.shape[1] * node.groups)
            kernel = node.weight_OIHW.shape[2:]
            return (len(node.weight_OIHW), *_plane(given, kernel, node, node.dilation))
        case SumPool2d() | AvgPool2d():
            _channels(given, 3, given[0])
            return (given[0], *_plane(given, node.kernel, node, (1, 1)))
        case Flatten():
            return _flattened(node, given)
        case Scale():
            return _same(given, node.scale.shape)
        case Delay():
            return _same(given, node.delay.shape)
        case Threshold():
            return _same(given, node.threshold.shape)
        case Neuron():
            return _same(given, node.r.shape)
        case StepNeuron():
            return _same(given, node.shape)
        case _:
            assert_never(node)


def _fits(found: Shape, allowed: Shape, given: Shape) -> None:
    if found != allowed or len(given) != 1:
        raise HardspikeError(f"takes a vector of {allowed[0]}, found {given}")


def _same(given: Shape, own: Shape) -> Shape:
    if own not in ((), (1,), given):
        raise HardspikeError(f"has parameters of shape {own}, found an input of {given}")
    return given


def _channels(given: Shape, axes: int, channels: int) -> None:
    if len(given) != axes or given[0] != channels:
        names = "(C, W)" if axes == 2 else "(C, H, W)"
        raise HardspikeError(f"takes {names} of {channels} channels, found {given}")


def _plane(
    given: Shape, kernel: Shape, node: Conv2d | SumPool2d | AvgPool2d, dilation: Shape
) -> Shape:
    _room(given, node.padding)
    return tuple(
        _size(given[1 + axis], kernel[axis], node.stride[axis], node.padding[axis], dilation[axis])
        for axis in (0, 1)
    )


def _room(given: Shape, padding: Shape) -> None:
    """Refuse padding that would make an image of more than `MOST_VALUES`."""
    padded = [size + 2 * more for size, more in zip(given[1:], padding, strict=True)]
    if given[0] * math.prod(padded) > MOST_VALUES:
        raise HardspikeError(
            f"padding: found {padding} around {given}, allowed up to {MOST_VALUES} values"
        )


def _size(length: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return (length + 2·padding − dilation·(kernel − 1) − 1) // stride + 1."""
    size = (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if size < 1:
        raise HardspikeError(
            f"a kernel of {kernel} with dilation {dilation} and padding {padding} "
            f"does not fit a length of {length}"
        )
    return size


def _flattened(node: Flatten, given: Shape) -> Shape:
    start, end = (axis + len(given) if axis < 0 else axis for axis in (node.start, node.end))
    if not 0 <= start <= end < len(given):
        raise HardspikeError(f"joins axes {node.start} to {node.end}, found {given}")
    return (*given[:start], math.prod(given[start : end + 1]), *given[end + 1 :])
