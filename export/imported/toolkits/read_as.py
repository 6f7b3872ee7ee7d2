"""A graph as the toolkit that wrote it runs it, in NIR's terms, before all other rewrites.

What is left open is a remark, what the contract cannot have is kept apart, node by node.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from export.errors import HardspikeError
from export.imported.faults import Fault
from export.imported.graph import Graph, Linear, Neuron, kind_of
from export.imported.rewrites.rewrite import Applied
from export.imported.shapes import infer_shapes
from export.imported.toolkits.names import ToolkitName
from export.imported.toolkits.of_norse import NORSE
from export.imported.toolkits.of_sinabs import SINABS
from export.imported.toolkits.of_snntorch import SNNTORCH
from export.imported.toolkits.of_spikingjelly import SPIKINGJELLY
from export.imported.toolkits.toolkit import Read, Setting, Told, Toolkit
from export.network import Array, Reset

TOOLKITS: Mapping[ToolkitName, Toolkit] = {
    one.name: one for one in (SNNTORCH, NORSE, SPIKINGJELLY, SINABS)
}
MOST_OWN = 2048
"""Neurons that a matrix may connect to themselves: 32 MiB of weights in float64."""
_OURS = ("schema", "dt", "reset")
"""Keys of a graph's metadata that none of the toolkits writes, and hardspike does."""
_PORTS = ("Input", "Output")
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")


@dataclass(frozen=True, eq=False)
class ReadGraph:
    """A graph in NIR's own terms, what was rewritten, remarks, and what differs all the same."""

    graph: Graph
    applied: tuple[Applied, ...] = ()
    remarks: tuple[Fault, ...] = ()
    apart: Mapping[str, str] = field(default_factory=dict)


def own_keys(graph: Graph) -> list[str]:
    """Return what of a graph's metadata hardspike writes, and no toolkit does."""
    return [key for key in _OURS if key in graph.metadata]


def step_and_reset(
    graph: Graph, toolkit: Toolkit, dt: float | None, reset: Reset | None
) -> tuple[float, Reset | None]:
    """Return the step and the reset of a toolkit's file, None where the user has to say it.

    Raises:
        HardspikeError: the file cannot be the toolkit's, or has another step or reset.
    """
    if found := own_keys(graph):
        raise HardspikeError(
            f"--from {toolkit.name}: found {found[0]!r} in the graph's metadata, as hardspike "
            f"writes it; allowed is a file that {toolkit.title} wrote"
        )
    for name, node in graph.nodes.items():
        kind = kind_of(node)
        if kind not in (*toolkit.kinds, *_PORTS):
            raise HardspikeError(
                f"node {name} ({kind}): {toolkit.title} {toolkit.version} does not write such a "
                f"node; allowed {', '.join(toolkit.kinds)}, or another --from"
            )
    if not toolkit.takes_dt and dt not in (None, toolkit.dt):
        raise HardspikeError(
            f"--dt: found {dt:g}, allowed {toolkit.dt:g}: {toolkit.title} writes for no other step"
        )
    if toolkit.reset is not None and reset not in (None, toolkit.reset):
        raise HardspikeError(
            f"--reset: found {reset!r}, allowed {toolkit.reset!r}: {toolkit.title} exports no other"
        )
    return dt or toolkit.dt, toolkit.reset or reset


def settings_of(toolkit: Toolkit, given: Sequence[str]) -> tuple[Mapping[str, str], frozenset[str]]:
    """Return the toolkit's settings, NAME=VALUE where given, and the names that are.

    Raises:
        HardspikeError: a setting that the toolkit's files hold themselves, or a wrong value.
    """
    found: dict[str, str] = {}
    for one in given:
        name, _, value = one.partition("=")
        if name not in toolkit.settings:
            allowed = ", ".join(toolkit.settings) or "none"
            raise HardspikeError(
                f"--setting: found {one[:60]!r}, allowed of {toolkit.title}: {allowed}"
            )
        value = _value(name, toolkit.settings[name], value)
        if found.get(name, value) != value:
            raise HardspikeError(f"--setting: {name}: found {found[name]} and {value}, allowed one")
        found[name] = value
    defaults = {name: setting.values[0] for name, setting in toolkit.settings.items()}
    return {**defaults, **found}, frozenset(found)


def _value(name: str, setting: Setting, text: str) -> str:
    """Return a setting's value, a number in its shortest digits."""
    if text in setting.values:
        return text
    more = ""
    if setting.bounds is not None:
        low, high = setting.bounds
        if _DECIMAL.fullmatch(text) and low <= float(text) <= high:
            return np.format_float_positional(float(text), trim="-")
        more = f" or a number from {low} to {high}, in digits and a point"
    raise HardspikeError(
        f"--setting: {name}: found {text[:60]!r}, allowed {', '.join(setting.values)}{more}"
    )


def check_reach(graph: Graph, toolkit: Toolkit, given: Iterable[str]) -> None:
    """Hold the names of settings to the graph: each is one of some of its neurons.

    Raises:
        HardspikeError: none of them has it.
    """
    nodes = graph.nodes.values()
    found = sorted({node.kind for node in nodes if isinstance(node, Neuron)})
    for name in sorted(given):
        kinds = toolkit.settings[name].kinds
        if not set(kinds) & set(found):
            raise HardspikeError(
                f"--setting: {name}: found with neurons {', '.join(found) or 'of no kind'}, "
                f"allowed with {', '.join(kinds)}: {toolkit.title} has it in no other"
            )


def read_as(graph: Graph, toolkit: Toolkit, told: Told) -> ReadGraph:
    """Return the graph as the toolkit runs it.

    Numbers that make no neuron are left alone: `faults` names them.

    Raises:
        HardspikeError: a parameter that the toolkit's exporter does not write; names the node.
    """
    walk = _Reading(graph, toolkit)
    for name, node in graph.nodes.items():
        if isinstance(node, Neuron) and _is_sound(node):
            walk.take(name, _read(name, node, _comes_back(graph, name), toolkit, told))
        elif remark := toolkit.remarks.get(kind_of(node)):
            walk.remarks.append(Fault(name, remark, stops=False))
    return ReadGraph(walk.graph, tuple(walk.applied), tuple(walk.remarks), walk.apart)


def _is_sound(node: Neuron) -> bool:
    """Whether time constants are above 0 and nothing is NaN, so that a reading makes sense."""
    values = node.parameters
    return all(
        not np.isnan(one).any() and (not key.startswith("tau") or bool((one > 0).all()))
        for key, one in values.items()
    )


def _read(name: str, node: Neuron, in_cycle: bool, toolkit: Toolkit, told: Told) -> Read:
    try:
        with np.errstate(all="ignore"):
            return toolkit.read(node, in_cycle, told)
    except HardspikeError as error:
        raise HardspikeError(
            f"node {name} ({node.kind}): {error}; as {toolkit.title} {toolkit.version} writes it"
        ) from error


def _comes_back(graph: Graph, name: str) -> bool:
    """Whether weights lead from neurons straight back to them."""
    return any(name in graph.after(target) for target in graph.after(name))


class _Reading:
    """A graph that is being rewritten, and what there is to say of it."""

    def __init__(self, graph: Graph, toolkit: Toolkit) -> None:
        self.graph, self.toolkit = graph, toolkit
        self.applied: list[Applied] = []
        self.remarks: list[Fault] = []
        self.apart: dict[str, str] = {}

    def take(self, name: str, read: Read) -> None:
        """Put neurons in their place, with what their spikes add to them."""
        self.graph = self.graph.replaced(name, read.node)
        apart, same = list(read.apart), list(read.same)
        if read.own_N is not None and (hindrance := self._feed_back(name, read.own_N)):
            apart.append(f"{same.pop()}: {hindrance}, so at once alone")
        self._note(name, same)
        self.remarks += [Fault(name, says, stops=False) for says in read.unsaid]
        if apart:
            self.apart[name] = "; ".join(apart)

    def _feed_back(self, name: str, own_N: Array) -> str:
        """Add weights from each neuron to itself; return what hinders it, nothing where none."""
        try:
            shape = infer_shapes(self.graph)[name]
        except HardspikeError:
            return ""  # there is no network, and that is said elsewhere
        if len(shape) != 1 or shape[0] > MOST_OWN:
            return f"the contract has such weights for vectors of up to {MOST_OWN}, found {shape}"
        weight = np.diag(np.broadcast_to(own_N, shape))
        back = [one for one in self.graph.after(name) if self.graph.after(one) == [name]]
        nodes = self.graph.nodes
        if len(back) == 1 and isinstance(loop := nodes[back[0]], Linear):
            summed = Linear(loop.weight_OI.astype(np.float64) + weight, loop.bias_O)
            self.graph = self.graph.replaced(back[0], summed)
        else:
            edges = ((name, f"{name}.reset"), (f"{name}.reset", name))
            self.graph = replace(
                self.graph,
                nodes={**nodes, f"{name}.reset": Linear(weight)},
                edges=(*self.graph.edges, *edges),
            )
        return ""

    def _note(self, name: str, said: Iterable[str]) -> None:
        self.applied += [Applied((name,), says) for says in said]
