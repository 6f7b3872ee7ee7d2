"""Linear nodes one behind the other as one.

    W₂ (W₁ x + b₁) + b₂ = (W₂ W₁) x + (W₂ b₁ + b₂)

So do two vectors' maps, and a convolution with one of 1×1 behind it, each channel's kernel then a
mix of the first's. A batch norm at inference is the second kind, a factor and an offset a channel
(NIR writes it as a 1×1 convolution of as many groups as channels, or as a Scale).
"""

import numpy as np

from export.imported.graph import Conv2d, Graph, Linear, Node
from export.imported.rewrites.rewrite import Applied, Shapes, exact
from export.network import Array


class MergeLinear:
    """A Linear goes into the Linear, a Conv2d into the 1×1 Conv2d that alone reads it."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """Two of a kind; the second convolution plain, 1×1, of stride 1 and without padding."""
        follower = graph.follower(name)
        one, two = graph.nodes[name], graph.nodes[follower] if follower else None
        if isinstance(one, Linear):
            return isinstance(two, Linear)
        if not isinstance(one, Conv2d) or not isinstance(two, Conv2d) or one.groups != 1:
            return False
        ones = (two.weight_OIHW.shape[2:], two.stride, two.groups)
        return ones == ((1, 1), (1, 1), 1) and two.padding == (0, 0)

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Put the product in the second's place."""
        follower = graph.follower(name)
        assert follower is not None
        merged = _merged(graph.nodes[name], graph.nodes[follower])
        after = graph.replaced(follower, merged).without(name)
        return after, Applied((name,), f"merged with {follower}")


def _merged(one: Node, two: Node) -> Node:
    if isinstance(one, Linear) and isinstance(two, Linear):
        weight = two.weight_OI.astype(np.float64) @ one.weight_OI.astype(np.float64)
        bias = _bias(two.weight_OI, one.bias_O, two.bias_O)
        return Linear(exact(weight, one.weight_OI), bias)
    assert isinstance(one, Conv2d)
    assert isinstance(two, Conv2d)
    mix_OM = two.weight_OIHW[:, :, 0, 0]
    weight = np.einsum("om,mihw->oihw", mix_OM.astype(np.float64), one.weight_OIHW)
    bias = _bias(mix_OM, one.bias_O, two.bias_O)
    return Conv2d(exact(weight, one.weight_OIHW), bias, one.stride, one.padding, one.dilation)


def _bias(weight_OM: Array, inner_M: Array | None, outer_O: Array | None) -> Array | None:
    """Return W₂ b₁ + b₂, None where there is neither."""
    if inner_M is None:
        return outer_O
    carried = weight_OM.astype(np.float64) @ inner_M.astype(np.float64)
    total = carried if outer_O is None else carried + outer_O
    return exact(total, inner_M)
