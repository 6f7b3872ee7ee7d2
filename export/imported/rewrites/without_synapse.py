"""Neurons that read something else than weights get weights of one.

The contract's layer is synapses and neurons. Where neurons read the input, other neurons or a pool
directly, an identity stands in between: a 1×1 convolution over (C, H, W), a matrix over a vector.
"""

import numpy as np

from export.imported.graph import (
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    StepNeuron,
    SumPool2d,
)
from export.imported.rewrites.rewrite import Applied, Shapes

MOST_NEURONS = 2048
"""Neurons of a vector that a matrix may connect one to one: 16 MiB of weights."""


class WithoutSynapse:
    """Puts an identity before a StepNeuron that reads no weights, one on each of its edges."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """Some edge from a node without weights, and a size that has an identity."""
        if not isinstance(graph.nodes[name], StepNeuron) or not _bare(graph, name):
            return False
        shape = shapes[name]
        return shape[0] <= MOST_NEURONS and len(shape) in (1, 3)

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Insert the identities."""
        shape, after = shapes[name], graph
        one = np.eye(shape[0], dtype=np.float32)
        node = Linear(one) if len(shape) == 1 else Conv2d(one[:, :, None, None])
        for index, source in enumerate(_bare(graph, name)):
            after = after.inserted(f"{name}.identity{index or ''}", node, name, source)
        return after, Applied((name,), "weights of one put before it")


def _bare(graph: Graph, name: str) -> list[str]:
    kinds = (Input, StepNeuron, SumPool2d, Flatten, Delay)
    return [source for source in graph.before(name) if isinstance(graph.nodes[source], kinds)]
