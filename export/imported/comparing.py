"""A lowered network held to its graph on random spikes.

The graph is run by `evaluate_graph`, which knows nothing of rewrites.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from export.imported.evaluate import evaluate_graph
from export.imported.graph import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    Graph,
    Input,
    Linear,
    Neuron,
    SumPool2d,
    Threshold,
)
from export.imported.lower import Lowered
from export.imported.shapes import infer_shapes
from export.network import Array, Dense, HardSpikeNetwork, Reset

PROBE_STEPS, _RECORDINGS, _DENSITY = 16, 2, 0.3
_MOST_PRODUCTS, _WINDOW = 1 << 28, 1 << 12
"""Of a check: a few seconds. One window of a pool takes as long as so many products."""
_CLOSE = 1e-6
"""Share of the largest membrane that sums in another order may move one by, in float64."""

Run = Callable[[HardSpikeNetwork, Array], dict[str, Array]]
"""Runs a network over spikes `(B, T, C, H, W)`: what each layer's neurons give, `(B, T, N)` by
name, spikes or, where they never fire, membranes."""


@dataclass(frozen=True)
class Comparison:
    """How a network compares with its graph: a sentence, and how many outputs differ of how many.

    `first` is the first node whose neurons give something else, empty where none do.
    """

    says: str
    differences: int = 0
    outputs: int = 0
    first: str = ""


def compare(graph: Graph, lowered: Lowered, dt: float, reset: Reset, run: Run) -> Comparison:
    """Run network and graph on the same random spikes; a graph too large for it is not compared."""
    network = lowered.network
    steps, recordings = _probe(graph)
    if steps == 0:
        return Comparison("Not compared: too many products for a check")
    shape = (recordings, steps, *network.input_shape)
    spikes = (np.random.default_rng(0).random(shape) < _DENSITY).astype(np.uint8)
    given = infer_shapes(graph)[graph.the_one(Input)]
    input_TB = spikes.swapaxes(0, 1).reshape(steps, recordings, *given)
    with np.errstate(all="ignore"):
        expected = evaluate_graph(graph, input_TB, dt, reset)
        found = run(_in_float64(network), spikes)
    differences, total, first = 0, 0, ""
    for node, layer in lowered.layer_of.items():
        if not isinstance(graph.nodes.get(node), Neuron | Threshold):
            continue
        wanted = expected[node].swapaxes(0, 1).reshape(found[layer].shape)
        close = np.isclose(found[layer], wanted, rtol=_CLOSE, atol=_CLOSE, equal_nan=False)
        total += close.size
        if not close.all():
            differences += int((~close).sum())
            first = first or node
    says = f"Compared on {recordings} random recordings of {steps} steps: "
    if differences == 0:
        return Comparison(f"{says}all {total} outputs of neurons are the graph's", 0, total)
    return Comparison(f"{says}{differences} of {total} differ", differences, total, first)


def _probe(graph: Graph) -> tuple[int, int]:
    """Return steps and recordings that a check can afford, (0, 0) where it cannot afford any."""
    products = _products(graph)
    for steps, recordings in ((PROBE_STEPS, _RECORDINGS), (4, 1)):
        if products * steps * recordings <= _MOST_PRODUCTS:
            return steps, recordings
    return 0, 0


def _products(graph: Graph) -> int:
    """Return a bound on what one step of one recording takes: products, and windows of pools."""
    shapes, total = infer_shapes(graph), 0
    for name, node in graph.nodes.items():
        size = math.prod(shapes[name])
        match node:
            case Linear():
                size = node.weight_OI.size
            case Conv1d():
                size *= node.weight_OIK[0].size
            case Conv2d():
                size *= node.weight_OIHW[0].size
            case SumPool2d() | AvgPool2d():
                size = math.prod(shapes[name][1:]) * _WINDOW + size * math.prod(node.kernel)
        total += size
    return total


def _in_float64(network: HardSpikeNetwork) -> HardSpikeNetwork:
    """Return the network with every number in float64, as the oracle has it."""
    layers = []
    for layer in network.layers:
        synapse, bias = layer.synapse, layer.synapse.bias_O
        numbers = (
            synapse.weight.astype(np.float64),
            None if bias is None else bias.astype(np.float64),
        )
        wide = (
            replace(synapse, weight_OI=numbers[0], bias_O=numbers[1])
            if isinstance(synapse, Dense)
            else replace(synapse, weight_OIHW=numbers[0], bias_O=numbers[1])
        )
        layers.append(replace(layer, synapse=wide))
    return replace(network, layers=tuple(layers))
