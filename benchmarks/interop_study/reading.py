"""A NIR graph evaluated in float64 under a stated reading of what NIR leaves open.

NIR's equations are continuous and carry no step. The reading that NIR itself suggests is
`Reading(dt)`: a forward-Euler step of `dt` seconds, at most one spike where v > v_threshold, then
v = v_reset at once. Toolkits differ from it in the points that are the other fields; a field at its
default means NIR's reading.

    LIF, LI    v = k·v + (1 − k)·(v_leak + R·I),    k = 1 − dt/τ
    IF, I      v = v + dt·R·I
    CubaLIF    i = c·i + (1 − c)·w_in·S,    v = k·v + (1 − k)·(v_leak + R·i),    c = 1 − dt/τ_syn

A neuron's spikes reach the nodes behind it at the same step; what comes back to it over a cycle
comes from the step before, and there was none before the first.

Axes: `B` recording, `T` step, `N` all places of a node's output.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import nir
import numpy as np

from benchmarks.interop_study.synapses import apply
from export.errors import HardspikeError
from export.network import Array

NEURONS = (nir.LIF, nir.IF, nir.LI, nir.I, nir.CubaLIF)
FIRING = (nir.LIF, nir.IF, nir.CubaLIF)


@dataclass(frozen=True)
class Reading:
    """What a step does where NIR does not say.

    `dt` is in seconds. `exponential` takes k = exp(−dt/τ). `whole_input` adds I itself, not
    (1 − k)·R·I or dt·R·I, `whole_readout` does so in LI nodes alone, and `whole_current` adds S
    itself to the current. `ignored_r` takes R for 1. `hidden_tau_syn` (steps) is a current
    i ← exp(−1/τ_syn)·(i + I) before the membrane, of which the file says nothing.

    `reset` is to v_reset, by subtraction of the threshold, or none. `late` says when: at once;
    after the leak of the next step; at the next step, whose input is lost with it; or at once, but
    what is left above the threshold is taken down by one more for the next step's decision.
    `late_in_cycles` has it so in neurons alone whose spikes come back to them.
    `at_threshold` fires at v = v_threshold too, `many_spikes` trunc(v / v_threshold) times.
    Membranes start at v_leak where `starts_at_leak`, else at 0; `hidden_v_reset` is a v_reset of
    which the file says nothing. `floor` keeps the membrane above −v_threshold. An IF node keeps
    `if_keeps` of it a step.
    """

    dt: float
    reset: Literal["zero", "subtract", "none"] = "zero"
    late: Literal["no", "after the leak", "with its input", "what is left"] = "no"
    late_in_cycles: bool = False
    at_threshold: bool = False
    many_spikes: bool = False
    exponential: bool = False
    whole_input: bool = False
    whole_readout: bool = False
    whole_current: bool = False
    hidden_tau_syn: float = 0.0
    floor: bool = False
    if_keeps: float = 1.0
    ignored_r: bool = False
    starts_at_leak: bool = False
    hidden_v_reset: float = 0.0


@dataclass
class State:
    """One neuron node between two steps."""

    spikes: Any
    recurrent: bool
    membrane: Any = 0.0
    current: Any = 0.0


@dataclass(frozen=True)
class Doubt:
    """Decisions of a node that differ from the spikes it was given."""

    count: int
    margin: float
    """The largest distance of such a membrane from the threshold, as a share of the threshold."""


@dataclass(frozen=True)
class Evaluation:
    """What every neuron node put out, (B, T, ...): spikes, or membranes where it never fires."""

    outputs: Mapping[str, Array]
    doubts: Mapping[str, Doubt] = field(default_factory=dict)


def read_graph(path: Path) -> Any:
    """Read a file as nir does. Types are not checked: some toolkits write an axis of recordings.

    Raises:
        HardspikeError: nir cannot read it.
    """
    try:
        return nir.read(path, type_check=False)
    except Exception as error:  # nir asserts and indexes freely
        reason = f"{type(error).__name__}: {error}"
        raise HardspikeError(f"{path}: nir cannot read it ({reason})") from error


def evaluate(
    graph: Any, inputs_BTN: Array, reading: Reading, given: Mapping[str, Array] | None = None
) -> Evaluation:
    """Evaluate a graph on inputs, (B, T, ...).

    With `given` spikes (node → (B, T, ...)) a node puts out those instead of its own and is reset
    by them, so that one decision that fell the other way has no consequences; where its own
    decision differs is counted in `doubts`.

    Raises:
        HardspikeError: the graph has a node without a rule here, or more than one input or output.
    """
    nodes, order, sources, cut = _plan(graph)
    states = {
        name: State(
            _none_yet(len(inputs_BTN), nodes[name]),
            name in cut,
            nodes[name].v_leak if reading.starts_at_leak and _leaks(nodes[name]) else 0.0,
        )
        for name in order
        if isinstance(nodes[name], NEURONS)
    }
    seen: dict[str, list[Array]] = {name: [] for name in states}
    margins: dict[str, list[Array]] = {name: [] for name in states}
    for step in range(inputs_BTN.shape[1]):
        values: dict[str, Array] = {}
        for name in order:
            total = _total(name, sources[name], values, states, inputs_BTN[:, step])
            if name not in states:
                values[name] = apply(name, nodes[name], total)
                continue
            forced = None if given is None or name not in given else given[name][:, step]
            values[name], margin = _step(nodes[name], states[name], total, reading, forced)
            seen[name].append(np.asarray(values[name]))
            margins[name].append(margin)
    outputs = {name: np.stack(steps, axis=1) for name, steps in seen.items()}
    doubts = {} if given is None else {name: _doubt(margins[name]) for name in given}
    return Evaluation(outputs, doubts)


def _leaks(node: Any) -> bool:
    return not isinstance(node, nir.IF | nir.I)


def _none_yet(recordings: int, node: Any) -> Array | float:
    """Return no spikes; a node whose parameters have no axis does not say for how many neurons."""
    shape = np.shape(node.r)
    return np.zeros((recordings, *shape)) if shape else 0.0


def _doubt(margins: list[Array]) -> Doubt:
    """Return how many decisions fell the other way; a margin is NaN where none did."""
    found = np.concatenate([margin[~np.isnan(margin)] for margin in margins])
    return Doubt(found.size, float(found.max()) if found.size else 0.0)


def _plan(graph: Any) -> tuple[Any, list[str], dict[str, list[str]], set[str]]:
    """Return the nodes, an order to take them in, the sources of each, and neurons in cycles.

    An edge from a neuron to a node that leads back to it is cut for the order, and carries the
    spikes of the step before.
    """
    nodes = dict(graph.nodes)
    edges = sorted({(str(a), str(b)) for a, b in graph.edges if a in nodes and b in nodes})
    ahead = {name: {b for a, b in edges if a == name} for name in nodes}
    kept = [
        (a, b) for a, b in edges if not (isinstance(nodes[a], NEURONS) and a in _reached(b, ahead))
    ]
    order: list[str] = []
    while len(order) < len(nodes):
        ready = [
            name
            for name in nodes
            if name not in order and all(a in order for a, b in kept if b == name)
        ]
        if not ready:
            raise HardspikeError("edges: found a cycle without a neuron")
        order += ready
    sources = {name: [a for a, b in edges if b == name] for name in nodes}
    return nodes, order, sources, {a for a, b in edges if (a, b) not in kept}


def _reached(start: str, ahead: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += ahead[name]
    return found


def _total(
    name: str,
    sources: list[str],
    values: Mapping[str, Array],
    states: Mapping[str, State],
    input_BN: Array,
) -> Array:
    """Return the sum of what reaches a node; the input where nothing leads to it."""
    came = [values[one] if one in values else states[one].spikes for one in sources]
    if not came:
        return input_BN.astype(np.float64)
    total = came[0]
    for more in came[1:]:
        total = total + more
    return total


def _step(
    node: Any, state: State, total: Array, reading: Reading, forced: Array | None
) -> tuple[Array, Array]:
    """Move one node one step on; return its output, and the margins of decisions not as forced."""
    with np.errstate(invalid="ignore"):  # 0 · ∞ where τ and R are endless: no number, no spike
        membrane = _membrane(node, state, total, reading)
    margin = np.full(membrane.shape, np.nan)
    if not fires(node):
        state.membrane = membrane
        return membrane, margin
    threshold = np.asarray(node.v_threshold, np.float64)
    more = threshold * (state.membrane > threshold) * (reading.late == "what is left")
    spikes = _decide(membrane - more, threshold, reading)
    if forced is not None:
        distance = _distance(membrane - more, threshold, spikes, forced)
        margin = np.where(spikes != forced, distance, np.nan)
        spikes = forced.astype(np.float64)
    state.spikes = spikes
    state.membrane = _reset(membrane, spikes, node, reading, _late(reading, state))
    return spikes, margin


def fires(node: Any) -> bool:
    """Whether a node is a neuron with a threshold that can be met."""
    return isinstance(node, FIRING) and bool(np.isfinite(node.v_threshold).any())


def _membrane(node: Any, state: State, total: Array, reading: Reading) -> Array:
    """Return the membrane that decides, with what a late reset takes off it."""
    leaks = isinstance(node, nir.LIF | nir.LI)
    resistance = 1.0 if reading.ignored_r else node.r
    if reading.hidden_tau_syn and (leaks or isinstance(node, nir.IF)):
        total = state.current = math.exp(-1 / reading.hidden_tau_syn) * (state.current + total)
    if isinstance(node, nir.CubaLIF):
        keep = _keep(node.tau_syn, reading)
        drive = total if reading.whole_current else (1 - keep) * node.w_in * total
        total = state.current = keep * state.current + drive
        keep = _keep(node.tau_mem, reading)
        membrane = keep * state.membrane + (1 - keep) * (node.v_leak + resistance * total)
    elif leaks:
        keep = _keep(node.tau, reading)
        whole = reading.whole_input or (reading.whole_readout and isinstance(node, nir.LI))
        drive = (1 - keep) * node.v_leak
        drive = drive + (total if whole else (1 - keep) * resistance * total)
        membrane = keep * state.membrane + drive
    else:
        kept = reading.if_keeps * state.membrane
        membrane = kept + total * (1 if reading.whole_input else reading.dt * resistance)
    if reading.late == "after the leak" and fires(node):
        membrane = membrane - node.v_threshold * state.spikes
    if _late(reading, state) == "with its input" and fires(node):
        membrane = np.where(np.asarray(state.spikes) > 0, node.v_reset, membrane)
    return np.asarray(membrane, np.float64)


def _keep(tau: Array, reading: Reading) -> Array:
    """Return the share of a state that a step keeps."""
    share = reading.dt / np.asarray(tau, np.float64)
    return np.asarray(np.exp(-share) if reading.exponential else 1 - share)


def _decide(membrane: Array, threshold: Array, reading: Reading) -> Array:
    if reading.many_spikes:
        return np.where(membrane > 0, np.trunc(membrane / threshold), 0.0)
    met = membrane >= threshold if reading.at_threshold else membrane > threshold
    return met.astype(np.float64)


def _distance(membrane: Array, threshold: Array, spikes: Array, forced: Array) -> Array:
    """Return how far a membrane is from the forced decision, in thresholds.

    With several spikes a step the border is the multiple of the threshold between both counts.
    """
    border = np.maximum(np.maximum(spikes, forced), 1)
    wrong = np.abs(spikes - forced) > 1
    return np.asarray(np.where(wrong, np.inf, np.abs(membrane / threshold - border)))


def _late(reading: Reading, state: State) -> str:
    """Return when this node's reset comes."""
    return reading.late if state.recurrent or not reading.late_in_cycles else "no"


def _reset(membrane: Array, spikes: Array, node: Any, reading: Reading, late: str) -> Array:
    """Return the membrane that the next step starts from."""
    if reading.reset != "none" and late in ("no", "what is left"):
        if reading.reset == "subtract":
            membrane = membrane - spikes * node.v_threshold
        else:
            rest = reading.hidden_v_reset or node.v_reset
            membrane = np.where(spikes > 0, rest, membrane)
    if reading.floor:
        membrane = np.maximum(membrane, -node.v_threshold)
    return np.asarray(membrane)
