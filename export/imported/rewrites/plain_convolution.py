"""Grouped and dilated kernels written out: zeros where they reach nothing."""

import numpy as np

from export.imported.graph import Conv2d, Graph
from export.imported.rewrites.rewrite import Applied, Shapes

MOST_WEIGHTS = 1 << 24
"""Weights that a kernel may have once it is written out: 128 MiB in float64."""


class PlainConvolution:
    """A Conv2d with groups or dilation becomes one without."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """Groups or dilation, and a size that can be written out."""
        node = graph.nodes[name]
        if not isinstance(node, Conv2d) or (node.groups == 1 and node.dilation == (1, 1)):
            return False
        return written_out_size(node) <= MOST_WEIGHTS

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Put every weight at its place in a kernel of all channels."""
        node = graph.nodes[name]
        assert isinstance(node, Conv2d)
        outputs, inputs, height, width = node.weight_OIHW.shape
        (dy, dx), own = node.dilation, outputs // node.groups
        size = (outputs, inputs * node.groups, dy * (height - 1) + 1, dx * (width - 1) + 1)
        weight = np.zeros(size, node.weight_OIHW.dtype)
        for group in range(node.groups):
            rows = slice(group * own, (group + 1) * own)
            columns = slice(group * inputs, (group + 1) * inputs)
            weight[rows, columns, ::dy, ::dx] = node.weight_OIHW[rows]
        plain = Conv2d(weight, node.bias_O, node.stride, node.padding)
        said = [
            *(["groups"] if node.groups > 1 else []),
            *(["dilation"] if node.dilation != (1, 1) else []),
        ]
        return graph.replaced(name, plain), Applied((name,), f"{' and '.join(said)} written out")


def written_out_size(node: Conv2d) -> int:
    """Return the number of weights without groups and dilation."""
    outputs, inputs, height, width = node.weight_OIHW.shape
    (dy, dx), groups = node.dilation, node.groups
    return int(outputs * inputs * groups * (dy * (height - 1) + 1) * (dx * (width - 1) + 1))
