"""A convolution or a pool in front of a flattened dense layer, written out in that layer's weights.

    W flat(A x + b) + c = (W A) flat(x) + (W b + c)

with A the convolution's or the pool's matrix: column j of A is what it makes of the j-th unit
image. Entries of a pool's A are 0 or 1, so its products are exact.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from export.imported.graph import Conv2d, Flatten, Graph, Linear, Node, SumPool2d
from export.imported.rewrites.rewrite import Applied, Shapes, exact
from export.network import Array, Shape

MOST_WEIGHTS = 1 << 22
"""Entries that A, its windows and the new weights may have: 32 MiB each in float64."""


class WriteOut:
    """A Conv2d or SumPool2d goes into the Linear behind the Flatten behind it."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """The three in a row, read by nothing else; matrices of a size that can be held."""
        node, flat, linear = graph.nodes[name], *_behind(graph, name)
        if not isinstance(node, Conv2d | SumPool2d) or linear is None or flat is None:
            return False
        if isinstance(node, Conv2d) and (node.groups != 1 or node.dilation != (1, 1)):
            return False
        inputs, outputs = math.prod(_given(graph, shapes, name)), math.prod(shapes[name])
        last = graph.nodes[linear]
        assert isinstance(last, Linear)
        sizes = (inputs * outputs, inputs * len(last.weight_OI), inputs * _seen(node, shapes[name]))
        fits = max(sizes) <= MOST_WEIGHTS
        return fits and shapes[flat] == (outputs,)

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Put W A and W b + c in the Linear's place."""
        node, (flat, linear) = graph.nodes[name], _behind(graph, name)
        assert flat is not None
        assert linear is not None
        last = graph.nodes[linear]
        assert isinstance(last, Linear)
        matrix_OI = _matrix(node, _given(graph, shapes, name))
        weight = last.weight_OI.astype(np.float64) @ matrix_OI
        bias = last.bias_O
        if isinstance(node, Conv2d) and node.bias_O is not None:
            repeated = np.repeat(node.bias_O, math.prod(shapes[name][1:])).astype(np.float64)
            carried = last.weight_OI.astype(np.float64) @ repeated
            bias = exact(carried if bias is None else carried + bias, last.weight_OI)
        after = graph.replaced(linear, Linear(exact(weight, last.weight_OI), bias)).without(name)
        after = after.replaced(flat, Flatten(0, -1))
        what = "sum pooling" if isinstance(node, SumPool2d) else "convolution"
        return after, Applied((name,), f"{what} written out in {linear}")


def _seen(node: Conv2d | SumPool2d, shape: Shape) -> int:
    """Return the values that all windows on one image hold, and the image's padding."""
    sizes = node.kernel if isinstance(node, SumPool2d) else node.weight_OIHW.shape[2:]
    channels = shape[0] if isinstance(node, SumPool2d) else node.weight_OIHW.shape[1]
    reach = [
        (count - 1) * stride + size
        for count, stride, size in zip(shape[1:], node.stride, sizes, strict=True)
    ]
    windows = math.prod(shape[1:]) * math.prod(sizes)
    return int(channels * max(windows, math.prod(reach)))


def _behind(graph: Graph, name: str) -> tuple[str | None, str | None]:
    flat = graph.follower(name)
    if flat is None or not isinstance(graph.nodes[flat], Flatten):
        return None, None
    linear = graph.follower(flat)
    return flat, linear if linear and isinstance(graph.nodes[linear], Linear) else None


def _given(graph: Graph, shapes: Shapes, name: str) -> Shape:
    return shapes[graph.before(name)[0]]


def _matrix(node: Node, given: Shape) -> Array:
    """Return A, `(outputs, inputs)`: the node's answer to every unit image, without bias."""
    unit = np.eye(math.prod(given)).reshape(-1, *given)
    assert isinstance(node, Conv2d | SumPool2d)
    (pad_h, pad_w), (stride_h, stride_w) = node.padding, node.stride
    padded = np.pad(unit, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
    kernel = node.kernel if isinstance(node, SumPool2d) else node.weight_OIHW.shape[2:]
    windows = sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::stride_h, ::stride_w]
    if isinstance(node, SumPool2d):
        answers = windows.sum(axis=(4, 5))
    else:
        weight = node.weight_OIHW.astype(np.float64)
        answers = np.einsum("bihwyx,oiyx->bohw", windows, weight, optimize=True)
    return np.asarray(answers.reshape(len(unit), -1).T)
