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
reads back to the same float64 (a list, one an output, where they differ), and `refractory`, the
steps of its refractory period, where there is one.

A file of kernels that are not square needs `nir.read(path, type_check=False)`: nir 1.0.8 computes
the shape of a convolution from the kernel's height alone.
"""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

from export.errors import HardspikeError
from export.files import replacing
from export.metadata import NIR_SCHEMA, TIME_BASE, describe
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
from export.nir_neurons import late_bias, neuron_node, read_neuron

_BACK = ".recurrent"
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
        nodes[f"{layer.name}.neuron"] = neuron_node(layer, shape, network.dt)
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
        metadata=describe(network, NIR_SCHEMA),
        type_check=False,
    )
    with replacing(path) as temporary:
        nir.write(temporary, graph)


def _synapse_node(layer: Layer[LIF], given: Shape) -> Any:
    synapse, metadata = layer.synapse, {"scale": repr(float(layer.scale))}
    if late_bias(layer) is not None:
        synapse = replace(synapse, bias_O=None)
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
    for key, allowed in (("schema", NIR_SCHEMA), ("time_base", TIME_BASE)):
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
    weights = _synapse(nodes[synapse])
    found = read_neuron(neuron, nodes[neuron], len(weights.weight), dt, reset)
    filtered = found.neuron.current_decay > 0 and weights.bias_O is not None
    return Layer(
        name,
        _with_bias(weights, found.late_bias_O),
        replace(found.neuron, bias_filtered=filtered),
        scale,
        membrane_decay_O=found.membrane_decay_O,
        current_decay_O=found.current_decay_O,
        delay_N=None if late is None else _steps(f"{name}.delay", late, dt),
        recurrent=None if back is None else Dense(back.weight),
    )


def _with_bias(synapse: Synapse, bias_O: Array | None) -> Synapse:
    """Return the synapse with a bias that its neurons had, in the precision of its weights."""
    if bias_O is None:
        return synapse
    own_O = bias_O.astype(synapse.weight.dtype)
    return replace(synapse, bias_O=own_O if (own_O == bias_O).all() else bias_O)


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
