"""What a graph's nodes become in the contract, node by node, and how far the network is from it.

    exact         the contract has the node
    equivalent    a rewrite that changes nothing takes it up
    approximated  with the largest error that was found
    unsupported   why, and what to do

`comparing` holds the network to the graph on random spikes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from export.errors import HardspikeError
from export.imported.comparing import PROBE_STEPS, Run, compare
from export.imported.faults import Fault, graph_faults, silent_layers
from export.imported.graph import Graph, Neuron, in_order, kind_of
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
from export.network import HardSpikeNetwork, Shape

Status = Literal["exact", "equivalent", "approximated", "unsupported"]


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
        options = replace(options, steps=PROBE_STEPS)
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
    """Hold the network to the graph on random spikes, and mark where they part."""
    found = compare(graph, lowered, settled.dt, settled.reset, run)
    says = f"{found.differences} of {found.outputs} outputs differ from here on"
    marked = tuple(
        replace(row, status="approximated", says=says)
        if row.node == found.first and row.is_equal
        else row
        for row in rows
    )
    return Checked(marked, lowered.network, found.says, found.differences)
