"""Scales folded into the weights before or behind them.

    W (s·x) = (W·diag s) x          into the inputs of what follows
    s·(W x + b) = (diag s·W) x + s·b    into the outputs of what lies before

A convolution's channel has one kernel, so there s must be the same all over a channel. Pooling and
flattening change places with a scale. Products are kept in float64 where float32 would round them.
"""

import numpy as np

from export.imported.graph import Conv2d, Flatten, Graph, Linear, Node, Scale, SumPool2d
from export.imported.rewrites.rewrite import Applied, Shapes, exact
from export.network import Array


class FoldScale:
    """A Scale goes into its neighbour, or changes places with it."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """A Scale with a neighbour that takes it."""
        if not isinstance(graph.nodes[name], Scale) or len(graph.before(name)) != 1:
            return False
        return self._into_before(graph, shapes, name) or self._into_follower(graph, shapes, name)

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Fold it into what lies before, else into what follows."""
        node, before = graph.nodes[name], graph.before(name)[0]
        assert isinstance(node, Scale)
        values = np.broadcast_to(node.scale, shapes[name])
        if self._into_before(graph, shapes, name):
            folded = _outputs_scaled(graph.nodes[before], values)
            return graph.replaced(before, folded).without(name), _folded(name, before)
        follower = graph.follower(name)
        assert follower is not None
        target = graph.nodes[follower]
        if isinstance(target, SumPool2d | Flatten):
            behind = (
                np.broadcast_to(_of_channels(values), shapes[follower])
                if isinstance(target, SumPool2d)
                else values.reshape(shapes[follower])
            )
            return _swapped(graph, name, follower, Scale(behind)), _folded(name, follower)
        if isinstance(target, Scale):
            product = exact(np.multiply(values, target.scale, dtype=np.float64), values)
            folded = Scale(product)
        else:
            folded = _inputs_scaled(target, values)
        return graph.replaced(follower, folded).without(name), _folded(name, follower)

    def _into_before(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        node, before = graph.nodes[name], graph.before(name)[0]
        if not isinstance(node, Scale) or graph.follower(before) != name:
            return False
        source = graph.nodes[before]
        if isinstance(source, Linear):
            return len(shapes[name]) == 1
        return _plain(source) and _by_channel(np.broadcast_to(node.scale, shapes[name]))

    def _into_follower(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        node, follower = graph.nodes[name], graph.follower(name)
        if not isinstance(node, Scale) or follower is None:
            return False
        target = graph.nodes[follower]
        if isinstance(target, Linear | Flatten | Scale):
            return len(shapes[name]) == 1 or not isinstance(target, Linear)
        if isinstance(target, SumPool2d) or _plain(target):
            return _by_channel(np.broadcast_to(node.scale, shapes[name]))
        return False


def _plain(node: Node) -> bool:
    return isinstance(node, Conv2d) and node.groups == 1


def _by_channel(values: Array) -> bool:
    return values.ndim == 3 and bool((values == values[:, :1, :1]).all())


def _of_channels(values: Array) -> Array:
    return values[:, :1, :1]


def _folded(name: str, into: str) -> Applied:
    return Applied((name,), f"scale folded into {into}")


def _swapped(graph: Graph, name: str, follower: str, scale: Scale) -> Graph:
    """Move a scale behind its follower."""
    after = graph.without(name)
    for index, target in enumerate(after.after(follower)):
        after = after.inserted(name if index == 0 else f"{name}{index}", scale, target, follower)
    return after


def _outputs_scaled(node: Node, values: Array) -> Node:
    """Return a synapse with its outputs multiplied."""
    if isinstance(node, Linear):
        weight = exact(values[:, None] * node.weight_OI.astype(np.float64), node.weight_OI)
        return Linear(weight, _scaled_bias(node.bias_O, values))
    assert isinstance(node, Conv2d)
    factor_O = values[:, 0, 0].astype(np.float64)
    weight = exact(factor_O[:, None, None, None] * node.weight_OIHW, node.weight_OIHW)
    return Conv2d(
        weight, _scaled_bias(node.bias_O, factor_O), node.stride, node.padding, node.dilation
    )


def _inputs_scaled(node: Node, values: Array) -> Node:
    """Return a synapse with its inputs multiplied."""
    if isinstance(node, Linear):
        weight = exact(node.weight_OI.astype(np.float64) * values, node.weight_OI)
        return Linear(weight, node.bias_O)
    assert isinstance(node, Conv2d)
    factor_I = values[:, 0, 0].astype(np.float64)
    weight = exact(node.weight_OIHW * factor_I[:, None, None], node.weight_OIHW)
    return Conv2d(weight, node.bias_O, node.stride, node.padding, node.dilation)


def _scaled_bias(bias_O: Array | None, factor_O: Array) -> Array | None:
    return None if bias_O is None else exact(bias_O.astype(np.float64) * factor_O, bias_O)
