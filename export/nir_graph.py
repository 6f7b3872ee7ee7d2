"""Float networks as NIR graphs, and back.

    input ─▶ [<layer>.flatten ─▶] <layer>.synapse ─▶ <layer>.neuron [─▶ <layer>.delay] ─▶ … ─▶
    output, and <layer>.neuron ─▶ <layer>.recurrent ─▶ <layer>.neuron

    synapse    Conv2d, or Linear (no bias) or Affine
    neuron     LIF, or IF without leak (τ = 1); LI, or I without leak, where no threshold is finite;
               CubaLIF or CubaLI where there is a synaptic current
    flatten    from (C, H, W), in that order, before the first dense layer
    delay      in seconds, a whole number of steps
    recurrent  Linear

NIR's files carry no time step and no word about reset, so the graph's metadata does: `dt` in
seconds, `reset` (zero or subtract), `time_base` (no layer delay), readout, steps, classes and the
version. The parameters of neurons (`export.euler`) make a forward-Euler step of `dt`, the synaptic
current first, the step of the contract. The metadata of a neuron holds its decays too, as text that
reads back to the same float64.

A file of kernels that are not square needs `nir.read(path, type_check=False)`: nir 1.0.8 computes
the shape of a convolution from the kernel's height alone.
"""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import nir
import numpy as np

from export.errors import HardspikeError
from export.euler import inverse, time_constant
from export.files import replacing
from export.metadata import TIME_BASE, describe
from export.network import (
    LIF,
    RESETS,
    Array,
    Conv,
    Dense,
    HardSpikeNetwork,
    Layer,
    Reset,
    Shape,
    Synapse,
)

SCHEMA = "hardspike.nir/1"
_BACK = ".recurrent"
_ROUNDING = 2.0**-51
"""How far a step of 1 may be off, where no float64 meets `export.euler`'s equations."""
_OFF_A_STEP = 1e-9


def write_nir(network: HardSpikeNetwork, path: Path) -> None:
    """Write `network` to `path` in one step; the same network gives the same bytes.

    Raises:
        HardspikeError: a layer's name cannot be a group of HDF5, or the file cannot be written.
    """
    nodes: dict[str, Any] = {"input": nir.Input(np.array(network.input_shape))}
    shapes, names, back = network.shapes, ["input"], list[tuple[str, str]]()
    for layer, given, shape in zip(network.layers, shapes, shapes[1:], strict=False):
        if not layer.name or "/" in layer.name:
            raise HardspikeError(f"layer {layer.name!r}: a name in NIR has no '/' and is not empty")
        if isinstance(layer.synapse, Dense) and len(given) == 3:
            nodes[f"{layer.name}.flatten"] = nir.Flatten({"input": np.array(given)}, 0, -1)
            names.append(f"{layer.name}.flatten")
        nodes[f"{layer.name}.synapse"] = _synapse_node(layer, given)
        nodes[f"{layer.name}.neuron"] = _neuron_node(layer, shape, network.dt)
        names += [f"{layer.name}.synapse", f"{layer.name}.neuron"]
        if layer.recurrent is not None:
            nodes[f"{layer.name}.recurrent"] = nir.Linear(layer.recurrent.weight_OI)
            back += [(names[-1], f"{layer.name}.recurrent"), (f"{layer.name}.recurrent", names[-1])]
        if layer.delay_N is not None:
            seconds = layer.delay_N.reshape(shape) * float(network.dt)
            nodes[f"{layer.name}.delay"] = nir.Delay(seconds)
            names.append(f"{layer.name}.delay")
    nodes["output"] = nir.Output(np.array(shapes[-1]))
    graph = nir.NIRGraph(
        nodes,
        [*itertools.pairwise([*names, "output"]), *back],
        metadata=describe(network, SCHEMA),
        type_check=False,
    )
    with replacing(path) as temporary:
        nir.write(temporary, graph)


def _synapse_node(layer: Layer[LIF], given: Shape) -> Any:
    synapse, metadata = layer.synapse, {"scale": repr(float(layer.scale))}
    if isinstance(synapse, Dense):
        if synapse.bias_O is None:
            return nir.Linear(synapse.weight_OI, metadata=metadata)
        return nir.Affine(synapse.weight_OI, synapse.bias_O, metadata=metadata)
    metadata["bias"] = "none" if synapse.bias_O is None else "given"
    bias = np.zeros(len(synapse.weight), synapse.weight.dtype)
    return nir.Conv2d(
        input_shape=given[1:],
        weight=synapse.weight_OIHW,
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        groups=synapse.groups,
        bias=bias if synapse.bias_O is None else synapse.bias_O,
        metadata=metadata,
    )


def _neuron_node(layer: Layer[LIF], shape: Shape, dt: float) -> Any:
    """Return the node; every parameter is repeated over the population, as NIR wants it."""
    neuron = layer.neuron

    def full(value: float) -> Array:
        return np.full(shape, value, np.float64)

    metadata = {"decay": repr(float(neuron.decay))}
    fires: dict[str, Any] = {}
    if neuron.fires:
        fires = {"v_threshold": full(neuron.threshold), "v_reset": full(0)}
    if neuron.current_decay:
        return _current_node(layer, full, dt, metadata, fires)
    if neuron.decay == 1:
        kind = nir.IF if neuron.fires else nir.I
        return kind(r=full(inverse(dt)), metadata=metadata, **fires)
    constant, resistance = time_constant(neuron.decay, dt)
    kind = nir.LIF if neuron.fires else nir.LI
    return kind(tau=full(constant), r=full(resistance), v_leak=full(0), metadata=metadata, **fires)


def _current_node(
    layer: Layer[LIF], full: Any, dt: float, metadata: dict[str, str], fires: dict[str, Any]
) -> Any:
    """Return the node of neurons with a synaptic current.

    Raises:
        HardspikeError: no membrane leak, or a bias, for which NIR's node has no place.
    """
    neuron = layer.neuron
    if neuron.decay == 1 or layer.synapse.bias_O is not None:
        found = "no leak" if neuron.decay == 1 else "a bias"
        raise HardspikeError(
            f"layer {layer.name}: found {found} beside a synaptic current, "
            "allowed in NIR's CubaLIF are a leak and no bias"
        )
    constant, resistance = time_constant(neuron.decay, dt)
    current_constant, weight = time_constant(neuron.current_decay, dt)
    return (nir.CubaLIF if neuron.fires else nir.CubaLI)(
        tau_mem=full(constant),
        tau_syn=full(current_constant),
        r=full(resistance),
        v_leak=full(0),
        w_in=full(weight),
        metadata=metadata | {"current_decay": repr(float(neuron.current_decay))},
        **fires,
    )


def read_nir_back(path: Path) -> HardSpikeNetwork:
    """Read a graph that `write_nir` wrote; weights are equal to the bit.

    Raises:
        HardspikeError: the file is absent or damaged, lacks a key, is not a chain of the nodes
            above, or a parameter is not what the metadata says. One line.
    """
    try:
        graph = nir.read(path, type_check=False)
        return _network(graph)
    except HardspikeError as error:
        raise HardspikeError(f"{path}: {error}") from error
    except Exception as error:  # nir asserts and indexes freely, so a damaged file raises anything
        reason = f"{type(error).__name__}: {error}"
        raise HardspikeError(f"{path}: cannot be read as NIR ({reason})") from error


def _network(graph: Any) -> HardSpikeNetwork:
    metadata = graph.metadata
    for key, allowed in (("schema", SCHEMA), ("time_base", TIME_BASE)):
        if metadata.get(key) != allowed:
            raise HardspikeError(f"{key}: found {metadata.get(key)!r}, allowed {allowed!r}")
    dt, reset = float(metadata["dt"]), metadata.get("reset")
    if reset not in RESETS:
        raise HardspikeError(f"reset: found {reset!r}, allowed {' or '.join(RESETS)}")
    names = _chain(graph)
    channels, height, width = (int(size) for size in graph.nodes["input"].input_type["input"])
    layers = [
        _layer(graph.nodes, synapse, neuron, dt, reset)
        for synapse, neuron in zip(names[0::2], names[1::2], strict=True)
    ]
    return HardSpikeNetwork(
        input_shape=(channels, height, width),
        layers=tuple(layers),
        readout=metadata["readout"],
        steps=int(metadata["steps"]),
        dt=dt,
        classes=tuple(json.loads(metadata["classes"])),
        input_max=int(metadata["input_max"]),
    )


def _chain(graph: Any) -> list[str]:
    """Return the names of synapses and neurons in turn, from the input to the output."""
    ways_back = {name for name in graph.nodes if name.endswith(_BACK)}
    edges = [edge for edge in graph.edges if not ways_back & set(edge)]
    following = dict(edges)
    name, names = "input", list[str]()
    while name != "output":
        if name not in following or len(names) > len(graph.nodes):
            raise HardspikeError(f"edges: no single chain leads on from {name!r} to 'output'")
        name = following[name]
        if name != "output" and not isinstance(graph.nodes[name], nir.Flatten | nir.Delay):
            names.append(name)
    own = {
        edge
        for name in ways_back
        for edge in (
            (f"{name.removesuffix(_BACK)}.neuron", name),
            (name, f"{name.removesuffix(_BACK)}.neuron"),
        )
    }
    if (
        len(following) != len(edges)
        or len(following) != len(graph.nodes) - len(ways_back) - 1
        or own != set(graph.edges) - set(edges)
    ):
        raise HardspikeError("edges: found branches or loose nodes, allowed one chain")
    return names


def _layer(nodes: Any, synapse: str, neuron: str, dt: float, reset: Reset) -> Layer[LIF]:
    name = synapse.removesuffix(".synapse")
    if neuron != f"{name}.neuron":
        raise HardspikeError(f"node {neuron}: found after {synapse}, allowed {name}.neuron")
    scale = float(nodes[synapse].metadata["scale"])
    back, late = nodes.get(f"{name}{_BACK}"), nodes.get(f"{name}.delay")
    if back is not None and not isinstance(back, nir.Linear):
        raise HardspikeError(f"node {name}{_BACK}: found {type(back).__name__}, allowed Linear")
    return Layer(
        name,
        _synapse(nodes[synapse]),
        _neuron(neuron, nodes[neuron], dt, reset),
        scale,
        delay_N=None if late is None else _steps(f"{name}.delay", late, dt),
        recurrent=None if back is None else Dense(back.weight),
    )


def _steps(name: str, node: Any, dt: float) -> Array:
    """Return a delay in steps, `(N,)`."""
    steps = np.asarray(node.delay).ravel() / dt
    if (np.abs(steps - np.rint(steps)) > _OFF_A_STEP).any():
        raise HardspikeError(f"node {name}: found a share of a step, allowed whole steps of {dt}")
    return np.asarray(np.rint(steps), np.int64)


def _synapse(node: Any) -> Synapse:
    if isinstance(node, nir.Affine):
        return Dense(node.weight, node.bias)
    if isinstance(node, nir.Linear):
        return Dense(node.weight)
    if isinstance(node, nir.Conv2d):
        bias = None if node.metadata["bias"] == "none" else node.bias
        stride, padding, dilation = (
            (int(pair[0]), int(pair[1])) for pair in (node.stride, node.padding, node.dilation)
        )
        return Conv(node.weight, bias, stride, padding, dilation, int(node.groups))
    raise HardspikeError(
        f"node of type {type(node).__name__}: allowed Conv2d, Linear or Affine before a neuron"
    )


def _neuron(name: str, node: Any, dt: float, reset: Reset) -> LIF:
    """Return the contract's neuron, its step held to what the metadata says."""
    kind = type(node).__name__
    if kind not in ("LIF", "IF", "LI", "I", "CubaLIF", "CubaLI"):
        raise HardspikeError(
            f"node {name}: found {kind}, allowed LIF, IF, LI, I, CubaLIF or CubaLI"
        )
    current, leaks, fires = kind.startswith("Cuba"), kind not in ("IF", "I"), kind.endswith("F")
    constant = node.tau_mem if current else node.tau if leaks else None
    alpha = 0.0 if constant is None else dt / _one(name, "tau", constant)
    decay, current_decay = float(node.metadata["decay"]), 0.0
    gain = (alpha if leaks else dt) * _one(name, "r", node.r)
    _check_step(name, "v", (1 - alpha, gain), decay)
    if current:
        alpha = dt / _one(name, "tau_syn", node.tau_syn)
        current_decay = float(node.metadata["current_decay"])
        _check_step(name, "i", (1 - alpha, alpha * _one(name, "w_in", node.w_in)), current_decay)
    zeros = (["v_leak"] if leaks else []) + (["v_reset"] if fires else [])
    for key in zeros:
        if _one(name, key, getattr(node, key)) != 0:
            raise HardspikeError(f"node {name}: {key}: allowed 0 only")
    threshold = _one(name, "v_threshold", node.v_threshold) if fires else math.inf
    return LIF(decay, threshold, reset, current_decay)


def _check_step(name: str, state: str, found: tuple[float, float], share: float) -> None:
    kept, gain = found
    if abs(kept - share) > _ROUNDING or abs(gain - 1) > _ROUNDING:
        raise HardspikeError(
            f"node {name}: found a step of {state}·{kept!r} + {gain!r}·I, "
            f"allowed {state}·{share!r} + I"
        )


def _one(name: str, key: str, values: Array) -> float:
    """Return the value that a whole population shares."""
    first = float(values.flat[0])
    if not (values == first).all():
        raise HardspikeError(f"node {name}: {key}: found several values, allowed one a layer")
    return first
