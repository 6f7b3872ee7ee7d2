"""Float networks as NIR graphs, and back.

    input ─▶ [<layer>.flatten ─▶] <layer>.synapse ─▶ <layer>.neuron ─▶ … ─▶ output

    synapse  Conv2d, or Linear (no bias) or Affine
    neuron   LIF, or IF without leak (τ = 1); LI, or I without leak, where no threshold is finite
    flatten  from (C, H, W), in that order, before the first dense layer

NIR's files carry no time step and no word about reset, so the graph's metadata does: `dt` in
seconds, `reset` (zero), `time_base` (no layer delay), readout, steps, classes and the version. The
parameters of neurons (`export.euler`) make a forward-Euler step of `dt` the step of the contract.
The metadata of a neuron holds its decay too, as text that reads back to the same float64.

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
from export.metadata import RESET, TIME_BASE, describe
from export.network import LIF, Array, Conv, Dense, HardSpikeNetwork, Layer, Shape, Synapse

SCHEMA = "hardspike.nir/1"
_ROUNDING = 2.0**-51
"""How far a step of 1 may be off, where no float64 meets `export.euler`'s equations."""


def write_nir(network: HardSpikeNetwork, path: Path) -> None:
    """Write `network` to `path` in one step; the same network gives the same bytes.

    Raises:
        HardspikeError: a layer's name cannot be a group of HDF5, or the file cannot be written.
    """
    nodes: dict[str, Any] = {"input": nir.Input(np.array(network.input_shape))}
    shapes = network.shapes
    for layer, given, shape in zip(network.layers, shapes, shapes[1:], strict=False):
        if not layer.name or "/" in layer.name:
            raise HardspikeError(f"layer {layer.name!r}: a name in NIR has no '/' and is not empty")
        if isinstance(layer.synapse, Dense) and len(given) == 3:
            nodes[f"{layer.name}.flatten"] = nir.Flatten({"input": np.array(given)}, 0, -1)
        nodes[f"{layer.name}.synapse"] = _synapse_node(layer, given)
        nodes[f"{layer.name}.neuron"] = _neuron_node(layer.neuron, shape, network.dt)
    nodes["output"] = nir.Output(np.array(shapes[-1]))
    names = list(nodes)
    graph = nir.NIRGraph(
        nodes,
        list(itertools.pairwise(names)),
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
        dilation=(1, 1),
        groups=1,
        bias=bias if synapse.bias_O is None else synapse.bias_O,
        metadata=metadata,
    )


def _neuron_node(neuron: LIF, shape: Shape, dt: float) -> Any:
    """Return the node; every parameter is repeated over the population, as NIR wants it."""

    def full(value: float) -> Array:
        return np.full(shape, value, np.float64)

    metadata = {"decay": repr(float(neuron.decay))}
    fires: dict[str, Any] = {}
    if neuron.fires:
        fires = {"v_threshold": full(neuron.threshold), "v_reset": full(0)}
    if neuron.decay == 1:
        kind = nir.IF if neuron.fires else nir.I
        return kind(r=full(inverse(dt)), metadata=metadata, **fires)
    constant, resistance = time_constant(neuron.decay, dt)
    kind = nir.LIF if neuron.fires else nir.LI
    return kind(tau=full(constant), r=full(resistance), v_leak=full(0), metadata=metadata, **fires)


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
    for key, allowed in (("schema", SCHEMA), ("reset", RESET), ("time_base", TIME_BASE)):
        if metadata.get(key) != allowed:
            raise HardspikeError(f"{key}: found {metadata.get(key)!r}, allowed {allowed!r}")
    dt = float(metadata["dt"])
    names = _chain(graph)
    channels, height, width = (int(size) for size in graph.nodes["input"].input_type["input"])
    layers = [
        _layer(graph.nodes, synapse, neuron, dt)
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
    following = dict(graph.edges)
    name, names = "input", list[str]()
    while name != "output":
        if name not in following or len(names) > len(graph.nodes):
            raise HardspikeError(f"edges: no single chain leads on from {name!r} to 'output'")
        name = following[name]
        if name != "output" and not isinstance(graph.nodes[name], nir.Flatten):
            names.append(name)
    if len(following) != len(graph.edges) or len(following) != len(graph.nodes) - 1:
        raise HardspikeError("edges: found branches or loose nodes, allowed one chain")
    return names


def _layer(nodes: Any, synapse: str, neuron: str, dt: float) -> Layer[LIF]:
    name = synapse.removesuffix(".synapse")
    if neuron != f"{name}.neuron":
        raise HardspikeError(f"node {neuron}: found after {synapse}, allowed {name}.neuron")
    scale = float(nodes[synapse].metadata["scale"])
    return Layer(name, _synapse(nodes[synapse]), _neuron(neuron, nodes[neuron], dt), scale)


def _synapse(node: Any) -> Synapse:
    if isinstance(node, nir.Affine):
        return Dense(node.weight, node.bias)
    if isinstance(node, nir.Linear):
        return Dense(node.weight)
    if isinstance(node, nir.Conv2d):
        bias = None if node.metadata["bias"] == "none" else node.bias
        stride, padding = (tuple(int(n) for n in pair) for pair in (node.stride, node.padding))
        if tuple(node.dilation) != (1, 1) or node.groups != 1:
            raise HardspikeError("Conv2d: dilation and groups are allowed to be 1 only")
        return Conv(node.weight, bias, (stride[0], stride[1]), (padding[0], padding[1]))
    raise HardspikeError(
        f"node of type {type(node).__name__}: allowed Conv2d, Linear or Affine before a neuron"
    )


def _neuron(name: str, node: Any, dt: float) -> LIF:
    if not isinstance(node, nir.LIF | nir.IF | nir.LI | nir.I):
        raise HardspikeError(f"node {name}: found {type(node).__name__}, allowed LIF, IF, LI or I")
    leaks, fires = isinstance(node, nir.LIF | nir.LI), isinstance(node, nir.LIF | nir.IF)
    decay = float(node.metadata["decay"])
    alpha = dt / _one(name, "tau", node.tau) if leaks else 0.0
    gain = (alpha if leaks else dt) * _one(name, "r", node.r)
    if abs((1 - alpha) - decay) > _ROUNDING or abs(gain - 1) > _ROUNDING:
        raise HardspikeError(
            f"node {name}: found a step of v·{1 - alpha!r} + {gain!r}·I, allowed v·{decay!r} + I"
        )
    zeros = (["v_leak"] if leaks else []) + (["v_reset"] if fires else [])
    for key in zeros:
        if _one(name, key, getattr(node, key)) != 0:
            raise HardspikeError(f"node {name}: {key}: allowed 0 only")
    return LIF(decay, _one(name, "v_threshold", node.v_threshold) if fires else math.inf)


def _one(name: str, key: str, values: Array) -> float:
    """Return the value that a whole population shares."""
    first = float(values.flat[0])
    if not (values == first).all():
        raise HardspikeError(f"node {name}: {key}: found several values, allowed one a layer")
    return first
