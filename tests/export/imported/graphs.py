"""Small graphs of whole numbers, and a test of two graphs against the oracle."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.imported.evaluate import evaluate_graph
from export.imported.graph import Graph, Input, Neuron, Node, Output
from export.network import Reset

Array = NDArray[Any]
STEPS, BATCH, DT = 5, 2, 1.0


def chain(*nodes: Node, shape: tuple[int, ...]) -> Graph:
    """Return the graph input ─▶ n0 ─▶ n1 ─▶ … ─▶ output."""
    named: dict[str, Node] = {"input": Input(shape)}
    named |= {f"n{index}": node for index, node in enumerate(nodes)}
    named["output"] = Output()
    names = list(named)
    return Graph(named, tuple(itertools.pairwise(names)))


def integrate_and_fire(shape: tuple[int, ...], threshold: float = 3.0) -> Neuron:
    """Return IF neurons of one threshold."""
    full = np.full(shape, threshold)
    return Neuron("IF", np.ones(shape), v_threshold=full, v_reset=np.zeros(shape))


def whole(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> Array:
    """Return small whole numbers, whose sums are exact in any order."""
    return rng.integers(-3, 4, shape).astype(dtype)


def output_of(graph: Graph, seed: int = 0, dt: float = DT, reset: Reset = "zero") -> Array:
    """Return what a graph gives for random whole numbers at its input, `(T, B, N)`."""
    node = graph.nodes[graph.the_one(Input)]
    assert isinstance(node, Input)
    assert node.shape is not None
    rng = np.random.default_rng(seed)
    size = int(np.prod(node.shape))
    values = rng.integers(0, 3, (STEPS, BATCH, size)).reshape(STEPS, BATCH, *node.shape)
    given = evaluate_graph(graph, values, dt, reset)[graph.the_one(Output)]
    return given.reshape(STEPS, BATCH, -1)
