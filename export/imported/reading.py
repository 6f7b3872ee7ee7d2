"""From a NIR file and what it leaves open to the contract's float network."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from export.errors import HardspikeError
from export.imported.faults import check_faults, check_numbers
from export.imported.graph import Flatten, Graph, Input, Neuron, Output
from export.imported.lower import Lowered, TimeBase, lower
from export.imported.nir_reader import read_nir_graph
from export.imported.recordings_axis import without_recordings_axis
from export.imported.rewrites.rewrite import Applied
from export.imported.rewrites.run import rewrite_graph
from export.imported.toolkits.names import ToolkitName
from export.imported.toolkits.read_as import (
    TOOLKITS,
    ReadGraph,
    check_reach,
    read_as,
    settings_of,
    step_and_reset,
)
from export.imported.toolkits.toolkit import Told
from export.metadata import TIME_BASE
from export.network import READOUTS, RESETS, Readout, Reset, Shape

Said = TypeVar("Said", str, int, float)


@dataclass(frozen=True)
class Options:
    """What a user says of a file; None leaves it to the file.

    `dt` is a step in the file's own unit of time (seconds, in NIR; toolkits whose neurons count
    steps write constants for dt = 1). `seconds` is the step of the recordings, `steps` is T.
    `refractory` is how many steps a spike holds a membrane at v_reset, for which NIR has no field.
    `toolkit` is who wrote it, `settings` are NAME=VALUE of its neurons that the file does not hold.
    """

    dt: float | None = None
    reset: Reset | None = None
    readout: Readout | None = None
    steps: int | None = None
    input_shape: tuple[int, int, int] | None = None
    seconds: float | None = None
    input_max: int | None = None
    refractory: int | None = None
    toolkit: ToolkitName | None = None
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settled:
    """What holds after file and user were heard."""

    dt: float
    reset: Reset
    base: TimeBase


@dataclass(frozen=True, eq=False)
class ImportedGraph:
    """A file's graph, what was rewritten, and the network that came of it.

    `apart` is what the toolkit that wrote the file does otherwise all the same, by node.
    """

    graph: Graph
    settled: Settled
    rewritten: Graph
    applied: tuple[Applied, ...]
    lowered: Lowered
    apart: Mapping[str, str] = field(default_factory=dict)


def import_nir(path: Path, options: Options) -> ImportedGraph:
    """Read a NIR file, rewrite its graph and lower it to the contract.

    Raises:
        HardspikeError: the file cannot be read, leaves something open that matters, or holds what
            the contract has no place for. One line.
    """
    whole = without_recordings_axis(shaped(read_nir_graph(path), options.input_shape))
    graph = never_firing(whole.graph)
    try:
        check_faults(whole.faults)
        options = with_toolkit(graph, options)
        settled = settle(graph, options)
        read = read_settled(graph, options, settled)
        graph = read.graph
        check_numbers(graph)
        with np.errstate(over="raise", invalid="raise"):
            rewritten, applied = rewrite_graph(graph, settled.dt, settled.reset)
            lowered = lower(rewritten, settled.base)
    except FloatingPointError as error:
        raise HardspikeError(f"{path}: numbers too large for a step ({error})") from error
    except HardspikeError as error:
        raise HardspikeError(*(f"{path}: {line}" for line in str(error).splitlines())) from error
    done = (*whole.applied, *read.applied, *applied)
    return ImportedGraph(graph, settled, rewritten, done, lowered, read.apart)


def with_toolkit(graph: Graph, options: Options) -> Options:
    """Return the options with the step and the reset of the toolkit that wrote the file.

    Raises:
        HardspikeError: the file cannot be the toolkit's, or the user says other than it does.
    """
    if options.toolkit is None:
        if options.settings:
            raise HardspikeError("--setting: found without --from, allowed with it")
        return options
    toolkit = TOOLKITS[options.toolkit]
    _, given = settings_of(toolkit, options.settings)
    dt, reset = step_and_reset(graph, toolkit, options.dt, options.reset)
    check_reach(graph, toolkit, given)
    return replace(options, dt=dt, reset=reset)


def read_settled(graph: Graph, options: Options, settled: Settled) -> ReadGraph:
    """Return the graph as its readout, its toolkit and a refractory period have it.

    Raises:
        HardspikeError: as `read_by`, `read_as` and `resting`.
    """
    read = ReadGraph(read_by(graph, settled.base.readout))
    title = ""
    if options.toolkit is not None:
        toolkit = TOOLKITS[options.toolkit]
        told = Told(settled.dt, settled.reset, *settings_of(toolkit, options.settings))
        read, title = read_as(read.graph, toolkit, told), toolkit.title
    rested = resting(read.graph, settled.reset, options.refractory, graph, title)
    return replace(read, graph=rested)


def shaped(graph: Graph, shape: Shape | None) -> Graph:
    """Return the graph with a shape at an input that the file left without one."""
    if shape is None:
        return graph
    nodes = {
        name: Input(shape) if isinstance(node, Input) and node.shape is None else node
        for name, node in graph.nodes.items()
    }
    return replace(graph, nodes=nodes)


def never_firing(graph: Graph) -> Graph:
    """Return the graph with neither threshold nor reset where all thresholds are infinite."""
    return _without_threshold(
        graph,
        {
            name
            for name, node in graph.nodes.items()
            if isinstance(node, Neuron)
            and node.v_threshold is not None
            and np.isposinf(node.v_threshold).all()
        },
    )


def resting(
    graph: Graph, reset: Reset, steps: int | None, written: Graph, toolkit: str = ""
) -> Graph:
    """Return the graph with a refractory period of `steps` in every neuron that fires.

    `written` is the file's graph: a period that is not in it is the reading's, of `toolkit`.

    Raises:
        HardspikeError: a neuron has another, no spike resets to v_reset, or no neuron fires.
    """
    firing = {
        name: node
        for name, node in graph.nodes.items()
        if isinstance(node, Neuron) and node.v_threshold is not None
    }
    if steps is not None and not firing:
        raise HardspikeError(
            f"refractory: found {_steps(steps)} and no neuron that fires, allowed is none"
        )
    nodes = dict(graph.nodes)
    for name, node in firing.items():
        if steps is not None and node.refractory not in (0, steps):
            before = written.nodes.get(name)
            of_file = isinstance(before, Neuron) and before.refractory == node.refractory
            where = "in the file" if of_file else f"as {toolkit} runs it"
            raise HardspikeError(
                f"node {name}: refractory: found {_steps(node.refractory)} {where} and {steps} "
                "given, allowed are equal ones"
            )
        nodes[name] = replace(node, refractory=steps or node.refractory)
        if (steps or node.refractory) and reset != "zero":
            raise HardspikeError(
                f"node {name}: refractory: found beside the reset {reset!r}, allowed with 'zero' "
                "only: the membrane is held there"
            )
    return replace(graph, nodes=nodes)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def read_by(graph: Graph, readout: Readout | None) -> Graph:
    """Return the graph as a readout has it: one of membranes takes the last neurons' thresholds.

    Their v_reset goes too, so that every membrane is read in the file's own units, from 0.
    """
    if readout != "membrane":
        return graph
    ends = {name for name, node in graph.nodes.items() if isinstance(node, Output | Flatten)}
    last = {
        name
        for name, node in graph.nodes.items()
        if isinstance(node, Neuron) and _leads_to_the_end(graph, name, ends)
    }
    for name in sorted(last):
        others = [target for target in graph.after(name) if target not in ends]
        if others and graph.nodes[name].v_threshold is not None:  # type: ignore[union-attr]
            raise HardspikeError(
                f"node {name}: readout: found membrane, and its spikes are read by {others[0]}; "
                "allowed is count"
            )
    return _without_threshold(graph, last)


def _leads_to_the_end(graph: Graph, name: str, ends: set[str]) -> bool:
    """Whether an output follows a node, or one after flattening alone."""
    seen, waiting = set[str](), list(graph.after(name))
    while waiting:
        one = waiting.pop()
        if one in ends and one not in seen:
            if isinstance(graph.nodes[one], Output):
                return True
            seen.add(one)
            waiting += graph.after(one)
    return False


def _without_threshold(graph: Graph, names: set[str]) -> Graph:
    nodes = {
        name: replace(node, v_threshold=None, v_reset=None)
        if name in names and isinstance(node, Neuron)
        else node
        for name, node in graph.nodes.items()
    }
    return replace(graph, nodes=nodes)


def settle(graph: Graph, options: Options) -> Settled:
    """Put together what the file's metadata says and what the user says.

    Raises:
        HardspikeError: something that matters is said by neither, or otherwise by both.
    """
    said = graph.metadata
    time_base = said.get("time_base", TIME_BASE)
    if time_base != TIME_BASE:
        raise HardspikeError(f"time_base: found {time_base[:60]!r}, allowed {TIME_BASE!r}")
    needs_dt = any(isinstance(node, Neuron) for node in graph.nodes.values())
    dt = _settled("dt", _number(said, "dt"), options.dt)
    if dt is None and needs_dt:
        raise HardspikeError(
            "dt: the file does not say how long a step is, and its neurons depend on it; give "
            "--dt in the file's unit of time (1 where the toolkit counts in steps, as sinabs does)"
        )
    if dt is not None and not 0 < dt < math.inf:
        raise HardspikeError(f"dt: found {dt}, allowed above 0")
    fires = any(
        isinstance(node, Neuron) and node.v_threshold is not None for node in graph.nodes.values()
    )
    reset = _settled("reset", said.get("reset"), options.reset)
    readout = options.readout or said.get("readout")
    if reset not in (None, *RESETS):
        raise HardspikeError(f"reset: found {reset!r}, allowed {', '.join(RESETS)}")
    if readout not in (None, *READOUTS):
        raise HardspikeError(f"readout: found {readout!r}, allowed {', '.join(READOUTS)}")
    if reset is None and fires:
        raise HardspikeError(
            "reset: the file does not say what a spike does to the membrane; give --reset zero "
            "(to v_reset, NIR's own words) or --reset subtract (v_threshold off it, as sinabs, "
            "snnTorch and SpikingJelly may have trained it)"
        )
    steps = _settled("steps", _whole(said, "steps"), options.steps)
    if steps is None:
        raise HardspikeError(
            "steps: the file does not say how many steps a recording has; give --steps"
        )
    base = TimeBase(
        steps,
        dt or 1.0,
        options.seconds or dt or 1.0,
        readout,
        _classes(said),
        options.input_max or _whole(said, "input_max") or 1,
    )
    return Settled(dt or 1.0, reset or "zero", base)


def _settled(key: str, of_file: Said | None, of_user: Said | None) -> Said | None:
    if of_file is not None and of_user is not None and of_file != of_user:
        raise HardspikeError(
            f"{key}: found {of_file} in the file and {of_user} given, allowed is one"
        )
    return of_user if of_file is None else of_file


def _number(said: dict[str, str], key: str) -> float | None:
    try:
        return float(said[key]) if key in said else None
    except ValueError:
        raise HardspikeError(
            f"{key}: found {said[key][:40]!r} in the file, allowed a number"
        ) from None


def _whole(said: dict[str, str], key: str) -> int | None:
    number = _number(said, key)
    if number is not None and not number.is_integer():
        raise HardspikeError(f"{key}: found {number} in the file, allowed a whole number")
    return None if number is None else int(number)


def _classes(said: dict[str, str]) -> tuple[str, ...]:
    try:
        names = json.loads(said.get("classes", "[]"))
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise HardspikeError("classes: found no list of names in the file, allowed is one")
    return tuple(names)
