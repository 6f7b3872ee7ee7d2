"""Average pooling as sum pooling and a Scale of 1/(kernel size), the padding counted as zeros."""

import numpy as np

from export.imported.graph import AvgPool2d, Graph, Scale, SumPool2d
from export.imported.rewrites.rewrite import Applied, Shapes


class AverageAsSum:
    """An AvgPool2d becomes a SumPool2d and a Scale behind it."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """An AvgPool2d that one node reads."""
        return isinstance(graph.nodes[name], AvgPool2d) and graph.follower(name) is not None

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Put both in its place."""
        node, follower = graph.nodes[name], graph.follower(name)
        assert isinstance(node, AvgPool2d)
        assert follower is not None
        share = np.full(shapes[name], 1 / (node.kernel[0] * node.kernel[1]))
        after = graph.replaced(name, SumPool2d(node.kernel, node.stride, node.padding))
        after = after.inserted(f"{name}.share", Scale(share), follower, name)
        return after, Applied((name,), "average pooling as sum pooling, its share in the weights")
