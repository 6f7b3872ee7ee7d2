"""What is wrong with a graph, or will hardly work, node by node.

A fault makes an import impossible, a remark does not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from export.errors import HardspikeError
from export.imported.graph import (
    Conv1d,
    Conv2d,
    Delay,
    Graph,
    Linear,
    Neuron,
    Node,
    Scale,
    StepNeuron,
    Threshold,
)
from export.network import Array


@dataclass(frozen=True)
class Fault:
    """One line on one node; `stops` says whether it stands in the way of an import."""

    node: str
    says: str
    stops: bool = True


def graph_faults(graph: Graph) -> list[Fault]:
    """Return every fault and remark that a node's own numbers show."""
    return [
        Fault(name, says, stops)
        for name, node in graph.nodes.items()
        for says, stops in _of_node(node)
    ]


def check_numbers(graph: Graph) -> None:
    """Check that no node's own numbers stand in the way of an import.

    Raises:
        HardspikeError: as `check_faults`.
    """
    check_faults(graph_faults(graph))


def check_faults(faults: Iterable[Fault]) -> None:
    """Check that no fault stands in the way of an import.

    Raises:
        HardspikeError: one does; one line for the first, with how many more there are.
    """
    stopping = [fault for fault in faults if fault.stops]
    if stopping:
        more = f" (and {len(stopping) - 1} more; `hardspike check`)" if len(stopping) > 1 else ""
        raise HardspikeError(f"node {stopping[0].node}: {stopping[0].says}{more}")


def _of_node(node: Node) -> Iterator[tuple[str, bool]]:
    for key, values in _numbers(node):
        if key == "v_threshold" and (values == np.inf).all():
            continue  # neurons that never fire, as SpikingJelly writes a readout
        if not np.isfinite(values).all():
            wrong = values[~np.isfinite(values)]
            yield (
                f"{key}: found {wrong.flat[0]} in {wrong.size} places, allowed finite numbers",
                True,
            )
    match node:
        case Linear() | Conv1d() | Conv2d() if not _weights(node).any():
            yield "all weights are zero: nothing passes", False
        case Delay() if (node.delay < 0).any():
            yield f"delay: found {node.delay.min():.6g}, allowed from 0", True
        case Neuron():
            yield from _of_neuron(node)


def _of_neuron(node: Neuron) -> Iterator[tuple[str, bool]]:
    for key, values in node.parameters.items():
        if key.startswith("tau") and not (values > 0).all():
            yield f"{key}: found {values.min():.6g}, allowed above 0", True
    if node.v_threshold is not None and node.v_reset is not None:
        wrong = ~(node.v_threshold > node.v_reset)
        if wrong.any():
            reset, threshold = node.v_reset[wrong].flat[0], node.v_threshold[wrong].flat[0]
            yield (
                f"v_reset: found {reset:.6g} with v_threshold {threshold:.6g}, allowed below it: "
                "such a neuron fires for ever",
                True,
            )
    if not node.r.any():
        yield "r: found 0, nothing reaches the membrane", False


def _weights(node: Linear | Conv1d | Conv2d) -> Array:
    match node:
        case Linear():
            return node.weight_OI
        case Conv1d():
            return node.weight_OIK
        case Conv2d():
            return node.weight_OIHW


def _numbers(node: Node) -> Iterator[tuple[str, Array]]:
    match node:
        case Linear() | Conv1d() | Conv2d():
            yield "weight", _weights(node)
            if node.bias_O is not None:
                yield "bias", node.bias_O
        case Scale():
            yield "scale", node.scale
        case Delay():
            yield "delay", node.delay
        case Threshold():
            yield "threshold", node.threshold
        case Neuron():
            yield from node.parameters.items()
        case StepNeuron():
            yield "bias", node.bias


def silent_layers(graph: Graph, input_max: int) -> list[Fault]:
    """Return the neurons of a rewritten graph that no input can make fire.

    The membrane stays at or below (Σ w⁺·input_max + b)/((1 − τ)(1 − c)), each part the largest over
    a layer's neurons; without a leak it has no bound where any weight is positive.
    """
    found = []
    for name, node in graph.nodes.items():
        if not isinstance(node, StepNeuron) or not np.isfinite(node.threshold):
            continue
        sources = [graph.nodes[source] for source in graph.before(name)]
        if len(sources) != 1 or not isinstance(sources[0], Linear | Conv2d):
            continue
        largest = (
            input_max if any(_from_input(graph, source) for source in graph.before(name)) else 1
        )
        drive = _largest_drive(sources[0], node, largest)
        kept = (1 - float(node.decay.max())) * (1 - float(node.current_decay.max()))
        if drive <= 0 or (kept > 0 and drive / kept <= node.threshold):
            reach = 0.0 if drive <= 0 else drive / kept
            found.append(
                Fault(
                    name,
                    f"never fires: its membrane reaches {reach:.6g} at most, its threshold is "
                    f"{node.threshold:.6g}",
                    stops=False,
                )
            )
    return found


def _from_input(graph: Graph, synapse: str) -> bool:
    """Whether no neurons lie before a synapse."""
    waiting = graph.before(synapse)
    for name in waiting:
        if not isinstance(graph.nodes[name], StepNeuron):
            waiting += [source for source in graph.before(name) if source not in waiting]
    return not any(isinstance(graph.nodes[name], StepNeuron) for name in waiting)


def _largest_drive(synapse: Linear | Conv2d, neuron: StepNeuron, input_max: int) -> float:
    weight = _weights(synapse)
    rows_O = np.maximum(weight.reshape(len(weight), -1), 0).sum(axis=1, dtype=np.float64)
    drive_O = rows_O * input_max
    if synapse.bias_O is not None:
        drive_O = drive_O + synapse.bias_O
    return float(drive_O.max() + max(neuron.bias.max(initial=0.0), 0.0))
