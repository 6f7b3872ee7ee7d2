"""What a layer's spikes do at later steps, in ONNX: to itself, after delays, and as its rest.

Axes: `T` time step, `B` batch, `N` neuron, `D` longest delay of a layer.

Delays take one of two forms. Over all steps, a value moves along T: zeros are put before the first
step and each neuron gathers from its own distance. Within a step, the last D values of all neurons
are a state, `(B, D·N)` with the oldest first; the new values go behind it and each neuron reads
from its own distance.
"""

import numpy as np
from onnx import TensorProto, helper

from export.bounds import ALIGN
from export.network import Array, Layer, LoihiLIF
from export.onnx_nodes import Graph


def longest(delay_N: Array | None) -> int:
    """Return D, 0 where nothing is delayed."""
    return 0 if delay_N is None else int(delay_N.max())


def held_states(layer: Layer[LoihiLIF], neurons: int, form: str) -> dict[str, int]:
    """Return name and size of the states for spikes and sums that wait, in float32.

    `<layer>.s` are the spikes of the step before, `<layer>.late` the sums under a dendritic delay;
    in the sequence form those wait inside the Scan only where the layer is recurrent.
    `<layer>.rest` are the steps that a refractory period has left.
    """
    found = {}
    if layer.recurrent is not None:
        found[f"{layer.name}.s"] = neurons
    if waits_in_step(layer, form):
        found[f"{layer.name}.late"] = longest(layer.dendrite_delay_N) * neurons
    if layer.neuron.refractory:
        found[f"{layer.name}.rest"] = neurons
    return found


def waits_in_step(layer: Layer[LoihiLIF], form: str) -> bool:
    """Whether the dendritic delay is a state instead of a move along T."""
    recurs = form == "step" or layer.recurrent is not None
    return recurs and longest(layer.dendrite_delay_N) > 0


def with_own_spikes(graph: Graph, layer: Layer[LoihiLIF], drive_BN: str) -> str:
    """Add Σ r·s[t−1] << 6 to Σ w·s << 6; the state `<layer>.s` has the spikes."""
    if layer.recurrent is None:
        return drive_BN
    name = layer.name
    weight_NN = layer.recurrent.weight_OI.T.astype(np.int64) * ALIGN
    weight = graph.constant(f"{name}.recurrent", weight_NN, np.float32)
    own = graph.add("MatMul", [f"{name}.s.state", weight], f"{name}.own")
    return graph.add("Add", [drive_BN, own], f"{name}.all")


def live(graph: Graph, layer: Layer[LoihiLIF], x_BN: str) -> str:
    """Add −v before the reset with 0 where a refractory period holds it."""
    name = layer.name
    alive = graph.add("HardSigmoid", [f"{name}.rest.state"], f"{name}.live", alpha=-1.0, beta=1.0)
    return graph.add("Mul", [x_BN, alive], f"{name}.held")


def steps_left(graph: Graph, layer: Layer[LoihiLIF], spikes_BN: str) -> str:
    """Add max(r − 1, 0) + R·s, for neurons with steps left do not spike."""
    name = layer.name
    one = graph.constant(f"{name}.rest.one", 1, np.float32)
    period = graph.constant(f"{name}.rest.period", layer.neuron.refractory, np.float32)
    fewer = graph.add("Sub", [f"{name}.rest.state", one], f"{name}.rest.fewer")
    left = graph.add("Relu", [fewer], f"{name}.rest.left")
    anew = graph.add("Mul", [spikes_BN, period], f"{name}.rest.anew")
    return graph.add("Add", [left, anew], f"{name}.rest.after")


def window(graph: Graph, state: str, values_BN: str, delay_N: Array) -> tuple[str, str]:
    """Return (the values as they arrive, the next state), `(B, N)` and `(B, D·N)`."""
    deepest, neurons = longest(delay_N), len(delay_N)
    both = graph.add("Concat", [f"{state}.state", values_BN], f"{state}.both", axis=1)
    at_N = (deepest - delay_N.astype(np.int64)) * neurons + np.arange(neurons)
    at = graph.constant(f"{state}.at", at_N, np.int64)
    arriving = graph.add("Gather", [both, at], f"{state}.arriving", axis=1)
    cuts = [
        graph.constant(f"{state}.{key}", [value], np.int64)
        for key, value in (("from", neurons), ("to", np.iinfo(np.int64).max), ("axis", 1))
    ]
    return arriving, graph.add("Slice", [both, *cuts], f"{state}.after")


def shifted(graph: Graph, values_TBN: str, delay_N: Array | None, output: str) -> str:
    """Add the values as they arrive over all steps, `(T, B, N)` in float32."""
    deepest = longest(delay_N)
    if delay_N is None or deepest == 0:
        return values_TBN
    pads = graph.constant(f"{output}.pads", [deepest, 0, 0, 0, 0, 0], np.int64)
    padded = graph.add("Pad", [values_TBN, pads], f"{output}.padded")
    shape = graph.add("Shape", [values_TBN], f"{output}.shape")
    steps = graph.add("Shape", [values_TBN], f"{output}.T", start=0, end=1)
    every = graph.add("Expand", [_counted(graph, steps, output), shape], f"{output}.steps")
    back_N = (deepest - delay_N.astype(np.int64)).reshape(1, 1, -1)
    at = graph.add(
        "Add", [every, graph.constant(f"{output}.back", back_N, np.int64)], f"{output}.at"
    )
    return graph.add("GatherElements", [padded, at], output, axis=0)


def _counted(graph: Graph, steps: str, output: str) -> str:
    """Add 0, 1, … T − 1 as `(T, 1, 1)`."""
    zero = helper.make_tensor("zero", TensorProto.INT64, [1], [1])
    ones = graph.add("ConstantOfShape", [steps], f"{output}.ones", value=zero)
    axis = graph.constant(f"{output}.first_axis", 0, np.int64)
    counted = graph.add("CumSum", [ones, axis], f"{output}.counted", exclusive=1)
    return graph.reshape(counted, (-1, 1, 1), f"{output}.column")
