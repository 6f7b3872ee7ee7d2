"""What a graph's nodes become in the contract, node by node, and how far the network is from it.

    exact         the contract has the node
    equivalent    a rewrite that changes nothing takes it up
    approximated  with the largest error that was found
    unsupported   why, and what to do

The network is held to `evaluate_graph`, which knows nothing of rewrites, on random spikes.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from export.errors import HardspikeError
from export.imported.evaluate import evaluate_graph
from export.imported.faults import Fault, graph_faults, silent_layers
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
    in_order,
    kind_of,
)
from export.imported.lower import Lowered, lower
from export.imported.reading import (
    Options,
    Settled,
    never_firing,
    read_settled,
    settle,
    with_toolkit,
)
from export.imported.recordings_axis import without_recordings_axis
from export.imported.rewrites.rewrite import Applied
from export.imported.rewrites.run import rewrite_graph
from export.imported.rewrites.time_step import TimeStep
from export.imported.shapes import infer_shapes
from export.network import Array, Dense, HardSpikeNetwork, Shape

Status = Literal["exact", "equivalent", "approximated", "unsupported"]
_PROBE_STEPS, _PROBE_RECORDINGS, _PROBE_DENSITY = 16, 2, 0.3
_MOST_PRODUCTS, _WINDOW = 1 << 28, 1 << 12
"""Of a check: a few seconds. One window of a pool takes as long as so many products."""
_CLOSE = 1e-6
"""Share of the largest membrane that sums in another order may move one by, in float64."""

Run = Callable[[HardSpikeNetwork, Array], dict[str, Array]]
"""Runs a network over spikes `(B, T, C, H, W)`: what each layer's neurons give, `(B, T, N)` by
name, spikes or, where they never fire, membranes."""


@dataclass(frozen=True)
class CoreShare:
    """What one core of a chip holds of a layer.

    `neurons` are ranges `[first, end)` in (C, H, W) order.
    """

    neurons: tuple[tuple[int, int], ...]
    input_axons: int
    output_axons: int
    synapse_words: int


@dataclass(frozen=True)
class Row:
    """One node: its name and kind, what becomes of it, and remarks that change no status.

    `cores` are those of a chip that its layer takes, where it was put on one.
    """

    node: str
    kind: str
    status: Status
    says: str
    remarks: tuple[str, ...] = ()
    cores: tuple[CoreShare, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether the contract computes just what the node does."""
        return self.status in ("exact", "equivalent")


@dataclass(frozen=True, eq=False)
class Checked:
    """A graph's rows in its order, the network where there is one, and how it was compared.

    `compared` is a sentence, `differences` the number of spikes that are not the graph's.
    """

    rows: tuple[Row, ...]
    network: HardSpikeNetwork | None
    compared: str
    differences: int = 0


def check_graph(graph: Graph, options: Options, run: Run) -> Checked:
    """Say of every node of a graph what becomes of it.

    Where the file leaves a step's length or the reset open and the user too, the neurons that
    depend on it are unsupported, and a stand-in shows the rest.

    Raises:
        HardspikeError: file and user say different things, or one of them something unheard of.
    """
    whole = without_recordings_axis(graph)
    graph = written = never_firing(whole.graph)
    options = with_toolkit(graph, options)
    settled, faults = _settled(graph, options)
    read = read_settled(graph, options, settled)
    graph, applied = read.graph, [*whole.applied, *read.applied]
    faults += [*whole.faults, *graph_faults(graph), *read.remarks]
    lowered: Lowered | None = None
    if not any(fault.stops for fault in graph_faults(graph)):
        try:
            faults += _neuron_faults(graph, infer_shapes(graph), settled)
            rewritten, done = rewrite_graph(graph, settled.dt, settled.reset)
            applied += done
            lowered = lower(rewritten, settled.base)
            faults += silent_layers(rewritten, settled.base.input_max)
        except HardspikeError as error:
            known = {(fault.node, fault.says) for fault in faults}
            blamed = [one for line in str(error).splitlines() for one in _blamed(graph, line)]
            faults += [fault for fault in blamed if (fault.node, fault.says) not in known]
    faults = [replace(fault, node=_maker(written, fault.node)) for fault in faults]
    rows = _apart(_rows(written, faults, applied, lowered), read.apart)
    if lowered is None:
        return Checked(rows, None, "Not compared: the graph has no network in the contract")
    if any(fault.stops for fault in faults):
        open_ends = "Not compared: what a step is, or a spike does, is left open"
        several = "Not compared: the graph is one of several recordings"
        return Checked(rows, None, several if whole.faults else open_ends)
    return _compared(graph, rows, lowered, settled, run)


def _settled(graph: Graph, options: Options) -> tuple[Settled, list[Fault]]:
    """Return what holds, with a stand-in for what was left open, and the faults that this makes."""
    found: list[Fault] = []
    neurons = {name: node for name, node in graph.nodes.items() if isinstance(node, Neuron)}
    if "steps" not in graph.metadata and options.steps is None:
        options = replace(options, steps=_PROBE_STEPS)
    if "dt" not in graph.metadata and options.dt is None:
        says = "the file does not say how long a step is; give --dt"
        found += [Fault(name, says) for name in neurons]
        options = replace(options, dt=_small_step(neurons))
    if "reset" not in graph.metadata and options.reset is None:
        firing = [name for name, node in neurons.items() if node.v_threshold is not None]
        says = "the file does not say what a spike does; give --reset zero or --reset subtract"
        found += [Fault(name, says) for name in firing]
        options = replace(options, reset="zero")
    return settle(graph, options), found


def _small_step(neurons: dict[str, Neuron]) -> float:
    """Return a step that every time constant allows."""
    constants = [
        float(values.min())
        for node in neurons.values()
        for key, values in node.parameters.items()
        if key.startswith("tau") and values.min() > 0
    ]
    return min(constants, default=10.0) / 10


def _neuron_faults(graph: Graph, shapes: dict[str, Shape], settled: Settled) -> list[Fault]:
    """Return what keeps each neuron from being a step of the contract, all of them at once."""
    step, found = TimeStep(settled.dt, settled.reset), list[Fault]()
    for name in graph.nodes:
        if step.requires(graph, shapes, name):
            try:
                step.call(graph, shapes, name)
            except HardspikeError as error:
                found += _blamed(graph, str(error))
    return found


_NAMED = re.compile(r"nodes? (?P<names>.+?)(?: \((?P<kind>\w+)\))?: (?P<says>.*)", re.DOTALL)
GRAPH = "(graph)"
"""The row of what concerns no single node."""


def _blamed(graph: Graph, line: str) -> list[Fault]:
    """Return a fault for each node that a line names; what rewrites made is its maker's."""
    match = _NAMED.match(line)
    if match is None:
        return [Fault(GRAPH, line)]
    names = [match["names"]] if match["names"] in graph.nodes else match["names"].split(", ")
    return [Fault(_maker(graph, name), match["says"]) for name in names]


def _maker(graph: Graph, name: str) -> str:
    while name and name not in graph.nodes:
        name = name.rpartition(".")[0]
    return name or GRAPH


def _rows(
    graph: Graph, faults: list[Fault], applied: list[Applied], lowered: Lowered | None
) -> tuple[Row, ...]:
    """Return a row a node, in the order in which values pass."""
    try:
        names = in_order(graph)
    except HardspikeError:
        names = list(graph.nodes)
    rows = [_row(graph, name, faults, applied, lowered) for name in names]
    rest = [fault.says for fault in faults if fault.node not in graph.nodes]
    if rest:
        rows.append(Row(GRAPH, "", "unsupported", "; ".join(rest)))
    return tuple(rows)


def _row(
    graph: Graph, name: str, faults: list[Fault], applied: list[Applied], lowered: Lowered | None
) -> Row:
    kind = kind_of(graph.nodes[name])
    remarks = tuple(fault.says for fault in faults if fault.node == name and not fault.stops)
    stops = [fault.says for fault in faults if fault.node == name and fault.stops]
    if stops:
        return Row(name, kind, "unsupported", "; ".join(dict.fromkeys(stops)), remarks)
    if lowered is not None and name in lowered.delay_errors:
        error = lowered.delay_errors[name]
        says = f"rounded to whole steps, by up to {error:.3g} of a step"
        return Row(name, kind, "approximated", says, remarks)
    said = [
        one.says
        for one in applied
        if one.says and any(_maker(graph, node) == name for node in one.nodes)
    ]
    if said:
        return Row(name, kind, "equivalent", ", ".join(dict.fromkeys(said)), remarks)
    return Row(name, kind, "exact", "", remarks)


def _apart(rows: tuple[Row, ...], apart: Mapping[str, str]) -> tuple[Row, ...]:
    """Return the rows with what the toolkit does otherwise in the first place."""
    return tuple(
        replace(row, status="approximated", says=apart[row.node], remarks=_moved(row))
        if row.node in apart and row.is_equal
        else row
        for row in rows
    )


def _moved(row: Row) -> tuple[str, ...]:
    return (row.says, *row.remarks) if row.says else row.remarks


def _compared(
    graph: Graph, rows: tuple[Row, ...], lowered: Lowered, settled: Settled, run: Run
) -> Checked:
    """Hold the network to the graph on random spikes."""
    network = lowered.network
    steps, recordings = _probe(graph)
    if steps == 0:
        return Checked(rows, network, "Not compared: too many products for a check")
    shape = (recordings, steps, *network.input_shape)
    spikes = (np.random.default_rng(0).random(shape) < _PROBE_DENSITY).astype(np.uint8)
    given = infer_shapes(graph)[graph.the_one(Input)]
    input_TB = spikes.swapaxes(0, 1).reshape(steps, recordings, *given)
    with np.errstate(all="ignore"):
        expected = evaluate_graph(graph, input_TB, settled.dt, settled.reset)
        found = run(_in_float64(network), spikes)
    differences, total, worst = 0, 0, ""
    for node, layer in lowered.layer_of.items():
        if not isinstance(graph.nodes.get(node), Neuron | Threshold):
            continue
        wanted = expected[node].swapaxes(0, 1).reshape(found[layer].shape)
        close = np.isclose(found[layer], wanted, rtol=_CLOSE, atol=_CLOSE, equal_nan=False)
        total += close.size
        if not close.all():
            differences += int((~close).sum())
            worst = worst or node
    says = f"Compared on {recordings} random recordings of {steps} steps: "
    if differences == 0:
        return Checked(rows, network, f"{says}all {total} outputs of neurons are the graph's")
    marked = tuple(
        replace(
            row, status="approximated", says=f"{differences} of {total} outputs differ from here on"
        )
        if row.node == worst and row.is_equal
        else row
        for row in rows
    )
    return Checked(marked, network, f"{says}{differences} of {total} differ", differences)


def _probe(graph: Graph) -> tuple[int, int]:
    """Return steps and recordings that a check can afford, (0, 0) where it cannot afford any."""
    products = _products(graph)
    for steps, recordings in ((_PROBE_STEPS, _PROBE_RECORDINGS), (4, 1)):
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
