"""A graph as its file has it: named nodes of a few kinds, and edges that pass values on.

Axes: `O` output, `I` input, `C` channel, `H` height, `W` width, `K` kernel; a `shape` has no batch
and no time. Source of the nodes: NIR 1.0.8 (Pedersen et al. 2024, doi 10.1038/s41467-024-52259-9).

A neuron is continuous,

    τ_syn·i̇ = −i + w_in·x,   τ·v̇ = (v_leak − v) + r·i        (i = x where there is no τ_syn)
    IF, I: v̇ = r·x;   a spike where v > v_threshold, then v = v_reset

until `rewrites.time_step` makes it a `StepNeuron`, one forward-Euler step of length dt, with the
current first: it starts at v_reset, the current at zero.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

from export.errors import HardspikeError
from export.network import Array, Reset, Shape

Edge = tuple[str, str]


@dataclass(frozen=True)
class Input:
    """Where values come in; `shape` is None where the file does not say."""

    shape: Shape | None


@dataclass(frozen=True)
class Output:
    """Where values go out."""


@dataclass(frozen=True, eq=False)
class Linear:
    """y = W x + b over a vector: NIR's Linear and Affine."""

    weight_OI: Array
    bias_O: Array | None = None


@dataclass(frozen=True, eq=False)
class Conv1d:
    """A one-dimensional cross-correlation over (C, W)."""

    weight_OIK: Array
    bias_O: Array | None
    stride: int
    padding: int
    dilation: int
    groups: int


@dataclass(frozen=True, eq=False)
class Conv2d:
    """A two-dimensional cross-correlation over (C, H, W); pairs are (H, W)."""

    weight_OIHW: Array
    bias_O: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True)
class SumPool2d:
    """Sums over windows of (C, H, W), zeros around it; pairs are (H, W)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class AvgPool2d:
    """A `SumPool2d` divided by the window's size, padding included."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Flatten:
    """Joins the axes from `start` to `end`, both included; a negative one counts from the last."""

    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Scale:
    """y = s · x, element by element."""

    scale: Array


@dataclass(frozen=True, eq=False)
class Delay:
    """y(t) = x(t − delay), in the file's unit of time, element by element."""

    delay: Array


@dataclass(frozen=True, eq=False)
class Threshold:
    """1 where x > threshold, without memory."""

    threshold: Array


@dataclass(frozen=True, eq=False)
class Neuron:
    """NIR's LIF, IF, LI, I, CubaLIF and CubaLI; what a kind lacks is None.

    `kind` is NIR's name of it. All parameters have the population's shape. `decay` and
    `current_decay` are what our own files say of the shares of membrane and current kept a step,
    besides the constants that give them; `refractory` is how many steps a spike holds the membrane
    at v_reset, for which NIR has no field.
    """

    kind: str
    r: Array
    tau: Array | None = None
    v_leak: Array | None = None
    v_threshold: Array | None = None
    v_reset: Array | None = None
    tau_syn: Array | None = None
    w_in: Array | None = None
    decay: Array | None = None
    current_decay: Array | None = None
    refractory: int = 0

    @property
    def parameters(self) -> dict[str, Array]:
        """The parameters that the kind has, by NIR's names."""
        tau = "tau_mem" if self.kind.startswith("Cuba") else "tau"
        named = {
            "r": self.r,
            tau: self.tau,
            "v_leak": self.v_leak,
            "v_threshold": self.v_threshold,
            "v_reset": self.v_reset,
            "tau_syn": self.tau_syn,
            "w_in": self.w_in,
        }
        return {key: value for key, value in named.items() if value is not None}


@dataclass(frozen=True, eq=False)
class StepNeuron:
    """A population that moves by steps, its parameters as the contract has them.

        i[t] = c·i[t−1] + x[t];   u[t] = τ·kept[t−1] + i[t] + bias;   spike where u[t] > ϑ

    `decay` (τ), `current_decay` (c) and `bias` have the population's shape; `threshold` is infinite
    where it never fires. For `refractory` steps behind a spike u is 0.
    """

    shape: Shape
    decay: Array
    threshold: float
    reset: Reset
    current_decay: Array
    bias: Array
    refractory: int = 0


Node = (
    Input
    | Output
    | Linear
    | Conv1d
    | Conv2d
    | SumPool2d
    | AvgPool2d
    | Flatten
    | Scale
    | Delay
    | Threshold
    | Neuron
    | StepNeuron
)
STATEFUL = (Threshold, Neuron, StepNeuron)
"""Nodes whose spikes may go around a cycle: what comes back is that of the step before."""
MOST_CYCLES = 64


def kind_of(node: Node) -> str:
    """Return NIR's name of a node's kind."""
    if isinstance(node, Neuron):
        return node.kind
    if isinstance(node, Linear):
        return "Linear" if node.bias_O is None else "Affine"
    return type(node).__name__


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes by name, edges, and the file's metadata as text."""

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]
    metadata: dict[str, str] = field(default_factory=dict)

    def after(self, name: str) -> list[str]:
        """Return the nodes that read `name`, in the order of the edges."""
        return list(self._neighbours[0].get(name, ()))

    def before(self, name: str) -> list[str]:
        """Return the nodes that `name` reads."""
        return list(self._neighbours[1].get(name, ()))

    @cached_property
    def _neighbours(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        after, before = dict[str, list[str]](), dict[str, list[str]]()
        for source, target in self.edges:
            after.setdefault(source, []).append(target)
            before.setdefault(target, []).append(source)
        return after, before

    def the_one(self, kind: type) -> str:
        """Return the name of the only node of `kind`.

        Raises:
            HardspikeError: there is none, or there are several.
        """
        found = [name for name, node in self.nodes.items() if isinstance(node, kind)]
        if len(found) != 1:
            listed = f" ({', '.join(found)})" if found else ""
            raise HardspikeError(
                f"found {len(found)} nodes of type {kind.__name__}{listed}, allowed 1"
            )
        return found[0]

    def replaced(self, name: str, node: Node) -> "Graph":
        """Return the graph with another node under `name`."""
        return replace(self, nodes={**self.nodes, name: node})

    def without(self, name: str) -> "Graph":
        """Return the graph without `name`: what read it reads what it read."""
        sources, targets = self.before(name), self.after(name)
        edges = [edge for edge in self.edges if name not in edge]
        edges += [(source, target) for source in sources for target in targets]
        nodes = {key: node for key, node in self.nodes.items() if key != name}
        return replace(self, nodes=nodes, edges=tuple(edges))

    def inserted(self, name: str, node: Node, before: str, source: str) -> "Graph":
        """Return the graph with a new node on the edge from `source` to `before`."""
        edges = [(one, name if (one, two) == (source, before) else two) for one, two in self.edges]
        return replace(self, nodes={**self.nodes, name: node}, edges=(*edges, (name, before)))

    def follower(self, name: str) -> str | None:
        """Return the only node that reads `name` and reads nothing else, None if there is none."""
        targets = self.after(name)
        alone = len(targets) == 1 and self.before(targets[0]) == [name]
        return targets[0] if alone and targets[0] != name else None


def in_order(graph: Graph) -> list[str]:
    """Return the names from the inputs on, each after all that it reads at the same step.

    Raises:
        HardspikeError: a cycle without a neuron; names its nodes.
    """
    late = late_edges(graph)
    missing = {
        name: sum((source, name) not in late for source in graph.before(name))
        for name in graph.nodes
    }
    order = [name for name, count in missing.items() if count == 0]
    for name in order:
        for target in graph.after(name):
            if (name, target) not in late:
                missing[target] -= 1
                if missing[target] == 0:
                    order.append(target)
    return order


def late_edges(graph: Graph) -> set[Edge]:
    """Return the edges that carry spikes to the next step, so that no cycle is left at one step.

    In every cycle it is the edge behind the last neuron before the cycle closes, seen from the
    inputs: the spikes that go round are those of the step before.

    Raises:
        HardspikeError: a cycle without a neuron; names its nodes.
    """
    late = set[Edge]()
    while (cycle := _cycle(graph, late)) is not None:
        edges = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        behind = [edge for edge in edges if isinstance(graph.nodes[edge[0]], STATEFUL)]
        if not behind:
            raise HardspikeError(
                f"nodes {', '.join(sorted(cycle))}: found a cycle without a neuron, "
                "allowed is one through a neuron, whose spikes go round a step later"
            )
        late.add(behind[-1])
        if len(late) > MOST_CYCLES:
            raise HardspikeError(f"found more than {MOST_CYCLES} cycles, allowed up to as many")
    return late


def _cycle(graph: Graph, without: set[Edge]) -> list[str] | None:
    """Return the names of one cycle, from where a walk from the inputs meets it; None if none."""
    done = set[str]()
    starts = [name for name, node in graph.nodes.items() if isinstance(node, Input)]
    for start in (*starts, *graph.nodes):
        path, following = [start], [iter(graph.after(start))]
        if start in done:
            continue
        while path:
            name = path[-1]
            target = next(following[-1], None)
            if target is None:
                done.add(path.pop())
                following.pop()
            elif (name, target) in without or target in done:
                continue
            elif target in path:
                return path[path.index(target) :]
            else:
                path.append(target)
                following.append(iter(graph.after(target)))
    return None
