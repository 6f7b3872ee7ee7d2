"""The nodes of the fixed-point network in ONNX: synapses, and Loihi's neuron in floating point.

Axes: `T` time step, `B` batch, `N` neuron, `L` = T·B rows of a product (B rows in the step form).

Integers live in float32 and float64 wherever those hold them exactly, because onnxruntime's
float operators are the fast ones:

1. Products. Σ|w|·x < 2^23 (required), so a float32 sum is exact in any order; weights are stored
   shifted left by 6 bits, which changes exponents only. Dense weights are even, so w/2 fits int8:
   MatMulInteger over uint8 inputs up to 127, where two products still fit the 16 bits that
   processors without VNNI add them in; the sum is then multiplied by 128.
2. Leak. trunc(v·k/4096) = the integer part of v·(k/4096) in float64: 24 and 13 bits make 37 < 53.
3. Membrane. Its negative is held, for point 4: −x = −leak − drive is exact in float32 up to 2^24.
   Beyond, the sign alone matters: a membrane above 2^23 fires whatever the threshold, below −2^23
   it is clipped.
4. Reset and spike, a node each. −v = −x where −x > −(vth << 6) − 1, else 0 (ThresholdedRelu,
   strict; both sides are whole). Held with its own sign the membrane would take two nodes, since
   no operator keeps what lies below a limit. s = −(−x) − (vth << 6) between 0 and 1 (HardSigmoid).
   The clip at 2^23 − 1 can not be seen (`export.bounds.membrane_clips`), the one below is left out
   where the bound allows.
5. Wrap. Left out where `export.bounds.current_wraps` proves that it cannot act. With a synaptic
   filter (du < 4095) current and membrane are added in float64 and clipped at both ends.
6. A faulty chip's layer. What dead neurons take is multiplied by 0; where each neuron has a
   threshold of its own, Greater and Where do what ThresholdedRelu does for one a layer, and Less
   what HardSigmoid does.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.bounds import ALIGN, STATE_END, current_wraps, membrane_clips
from export.network import Array, Conv, Layer, LoihiLIF, Shape
from export.registers import CURRENT_DECAY

INPUT, INPUT_TIME_FIRST = "spikes", "spikes_TBCHW"
INT8_INPUT_MAX = 127
"""Largest input of an int8 product: 127 · (128 + 128) < 2^15."""


class Graph:
    """Collects nodes and initialisers; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Any, dtype: Any) -> str:
        """Add an initialiser."""
        array = np.ascontiguousarray(value, dtype)
        if all(known.name != name for known in self.initializers):
            self.initializers.append(numpy_helper.from_array(array.reshape(np.shape(value)), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, named like it."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def reshape(self, value: str, sizes: Shape, output: str) -> str:
        """Add a reshape to fixed sizes; −1 stands for what is left."""
        return self.add(
            "Reshape", [value, self.constant(f"{output}.sizes", sizes, np.int64)], output
        )

    def cast(self, value: str, kind: int, output: str) -> str:
        """Add a conversion; from float to integer it truncates towards zero."""
        return self.add("Cast", [value], output, to=kind)


def as_float(graph: Graph, x: str, output: str) -> str:
    """Add the values of `x` in float32: `spikes` are bytes, what a layer fired is float already."""
    return graph.cast(x, TensorProto.FLOAT, output) if x in (INPUT, INPUT_TIME_FIRST) else x


def as_bytes(graph: Graph, x: str, output: str) -> str:
    """Add the same in uint8."""
    return x if x in (INPUT, INPUT_TIME_FIRST) else graph.cast(x, TensorProto.UINT8, output)


def product_operand(
    graph: Graph, layer: Layer[LoihiLIF], x: str, rows: Shape, input_max: int
) -> str:
    """Add the input of `product`, `(L, …)` in uint8 or float32; `rows` is its shape, −1 for L."""
    name = layer.name
    if takes_bytes(layer, input_max):
        return graph.reshape(as_bytes(graph, x, f"{name}.input"), rows, f"{name}.counts")
    return graph.reshape(as_float(graph, x, f"{name}.input"), rows, f"{name}.counts")


def takes_bytes(layer: Layer[LoihiLIF], input_max: int) -> bool:
    """Whether the layer's product is one of int8 weights over uint8 inputs."""
    return not isinstance(layer.synapse, Conv) and input_max <= INT8_INPUT_MAX


def product(graph: Graph, layer: Layer[LoihiLIF], operand: str, input_max: int) -> str:
    """Add the one node that sums weights over inputs, `(L, …)`.

    Float products are Σ w·x << 6; those of bytes are Σ (w/2)·x in int32.
    """
    name, synapse = layer.name, layer.synapse
    if isinstance(synapse, Conv):
        weight = graph.constant(
            f"{name}.weight", synapse.weight_OIHW.astype(np.int64) * ALIGN, np.float32
        )
        padding = [*synapse.padding, *synapse.padding]
        return graph.add(
            "Conv", [operand, weight], f"{name}.product", strides=list(synapse.stride), pads=padding
        )
    if takes_bytes(layer, input_max):
        weight = graph.constant(f"{name}.weight", synapse.weight_OI.T // 2, np.int8)
        return graph.add("MatMulInteger", [operand, weight], f"{name}.product")
    weight = graph.constant(
        f"{name}.weight", synapse.weight_OI.T.astype(np.int64) * ALIGN, np.float32
    )
    return graph.add("MatMul", [operand, weight], f"{name}.product")


def synapses(graph: Graph, layer: Layer[LoihiLIF], x: str, rows: Shape, input_max: int) -> str:
    """Add Σ w·x << 6 in float32, `(L, …)`; `rows` is the shape that `x` takes, −1 for L."""
    operand = product_operand(graph, layer, x, rows, input_max)
    sums = product(graph, layer, operand, input_max)
    if not takes_bytes(layer, input_max):
        return sums
    two = graph.constant("twice_aligned", 2 * ALIGN, np.float32)
    wide = graph.cast(sums, TensorProto.FLOAT, f"{layer.name}.sums")
    return graph.add("Mul", [wide, two], f"{layer.name}.drive")


def drive(graph: Graph, layer: Layer[LoihiLIF], x: str, rows: Shape, input_max: int) -> str:
    """Add what a step brings to the membrane (filtered: to the current), `(L, …)` in float32.

    Without a synaptic filter that is wrap24(Σ w·x << 6) + (bias << 6); with one the filter's
    nodes wrap and add the bias.
    """
    raw = synapses(graph, layer, x, rows, input_max)
    if filters_current(layer):
        return _alive(graph, layer, raw, rows)
    if current_wraps(layer, input_max):
        raw = _wrap(graph, raw, f"{layer.name}.wrap", np.float32)
    if layer.synapse.bias_O is None:
        return _alive(graph, layer, raw, rows)
    size = (-1, 1, 1) if isinstance(layer.synapse, Conv) else (-1,)
    bias = np.asarray(layer.synapse.bias_O, np.int64).reshape(size) * ALIGN
    name = graph.constant(f"{layer.name}.bias", bias, np.float32)
    biased = graph.add("Add", [raw, name], f"{layer.name}.biased")
    return _alive(graph, layer, biased, rows)


def _alive(graph: Graph, layer: Layer[LoihiLIF], drive_L: str, rows: Shape) -> str:
    """Add that dead neurons take nothing; no node where there are none."""
    if layer.alive_N is None:
        return drive_L
    alive = layer.alive_N.reshape(layer.synapse.output_shape(rows[1:]))
    factor = graph.constant(f"{layer.name}.alive", alive, np.float32)
    return graph.add("Mul", [drive_L, factor], f"{layer.name}.taken")


def filters_current(layer: Layer[LoihiLIF]) -> bool:
    """Whether the layer has a synaptic current that outlives its step."""
    return layer.neuron.current_decay != CURRENT_DECAY.maximum


def states(layer: Layer[LoihiLIF]) -> list[str]:
    """Return the names of the layer's states: v, and with a synaptic filter u."""
    return [f"{layer.name}.v", f"{layer.name}.u"][: 1 + filters_current(layer)]


def neuron(
    graph: Graph,
    layer: Layer[LoihiLIF],
    drive_BN: str,
    input_max: int,
    neurons: int,
    *,
    negative: bool,
) -> tuple[str, list[str]]:
    """Add one step of the neurons of `layer`; return (−x, next −v and u), all `(B, N)`.

    −x is the membrane before the reset, for `fired`. Reads the states by their names and adds
    `.state`: −v in float32 where it is held `negative`, otherwise v in float64; u in float64.
    """
    name = layer.name
    kept = _leak(graph, f"{name}.v", 4096 - layer.neuron.membrane_decay, negative)
    following = []
    if filters_current(layer):
        current = _current(graph, layer, drive_BN)
        following.append(current)
        x = _filtered_membrane(graph, layer, kept, current, neurons)
    else:
        x = graph.add("Sub", [kept, drive_BN], f"{name}.membrane")
        if membrane_clips(layer, input_max):
            floor = graph.constant(f"{name}.floor", STATE_END - 1, np.float32)
            x = graph.add("Min", [x, floor], f"{name}.clipped")
    return x, [reset(graph, layer, x, f"{name}.v.after"), *following]


def reset(graph: Graph, layer: Layer[LoihiLIF], x: str, output: str) -> str:
    """Add −v from −x: zero where the neuron fires."""
    if layer.threshold_N is None:
        limit = float(-layer.neuron.threshold * ALIGN - 1)
        return graph.add("ThresholdedRelu", [x], output, alpha=limit)
    limit_N = graph.constant(f"{output}.limit_N", _ends(layer.threshold_N) - 1, np.float32)
    silent = graph.add("Greater", [x, limit_N], f"{output}.silent")
    rest = graph.constant(f"{output}.rest", 0, np.float32)
    return graph.add("Where", [silent, x, rest], output)


def fired(graph: Graph, layer: Layer[LoihiLIF], x: str) -> str:
    """Add the spikes, 0 or 1 in float32, from −x."""
    output = f"{layer.name}.fired"
    if layer.threshold_N is None:
        limit = float(-layer.neuron.threshold * ALIGN)
        return graph.add("HardSigmoid", [x], output, alpha=-1.0, beta=limit)
    limit_N = graph.constant(f"{output}.limit_N", _ends(layer.threshold_N), np.float32)
    below = graph.add("Less", [x, limit_N], f"{output}.below")
    return graph.cast(below, TensorProto.FLOAT, output)


def _ends(threshold_N: Array) -> Array:
    """Return −(vth << 6) of every neuron."""
    return -threshold_N.astype(np.int64) * ALIGN


def _leak(graph: Graph, state: str, share: int, negative: bool) -> str:
    """Add −trunc(v · share / 4096) in float32; −v that is kept whole needs no node."""
    held, output = f"{state}.state", f"{state}_kept"
    if share == 4096:
        if negative:
            return held
        return graph.cast(graph.add("Neg", [held], f"{output}.negative"), TensorProto.FLOAT, output)
    wide = graph.cast(held, TensorProto.DOUBLE, f"{output}.wide") if negative else held
    signed = (1 if negative else -1) * share / 4096
    keep = graph.constant(f"{state}_keep", signed, np.float64)
    product = graph.add("Mul", [wide, keep], f"{output}.product")
    whole = graph.cast(product, TensorProto.INT32, f"{output}.whole")
    return graph.cast(whole, TensorProto.FLOAT, output)


def _current(graph: Graph, layer: Layer[LoihiLIF], drive_BN: str) -> str:
    """Add u ← wrap24(trunc(u · (4096 − du − 1) / 4096) + drive) in float64."""
    name = layer.name
    share = (4096 - layer.neuron.current_decay - 1) / 4096
    keep = graph.constant(f"{name}.u_keep", share, np.float64)
    product = graph.add("Mul", [f"{name}.u.state", keep], f"{name}.u_kept.product")
    whole = graph.cast(product, TensorProto.INT32, f"{name}.u_kept.whole")
    kept = graph.cast(whole, TensorProto.DOUBLE, f"{name}.u_kept")
    wide = graph.cast(drive_BN, TensorProto.DOUBLE, f"{name}.drive.wide")
    raw = graph.add("Add", [kept, wide], f"{name}.current")
    return _wrap(graph, raw, f"{name}.u.after", np.float64)


def _filtered_membrane(
    graph: Graph, layer: Layer[LoihiLIF], kept: str, current: str, neurons: int
) -> str:
    """Add −clip24(−kept + u + (bias << 6)) in float64 and return it in float32."""
    name, bias = layer.name, layer.synapse.bias_O
    x = graph.cast(kept, TensorProto.DOUBLE, f"{name}.v_kept.double")
    x = graph.add("Sub", [x, current], f"{name}.membrane")
    if bias is not None:
        each = np.repeat(np.asarray(bias, np.int64) * ALIGN, neurons // len(bias))
        if layer.alive_N is not None:
            each *= layer.alive_N.astype(np.int64)
        x = graph.add(
            "Sub", [x, graph.constant(f"{name}.bias", each, np.float64)], f"{name}.biased"
        )
    ends = [
        graph.constant(f"{name}.{end}", value, np.float64)
        for end, value in (("floor", 1 - STATE_END), ("ceiling", STATE_END - 1))
    ]
    return graph.cast(
        graph.add("Clip", [x, *ends], f"{name}.clipped"), TensorProto.FLOAT, f"{name}.x"
    )


def _wrap(graph: Graph, raw: str, output: str, dtype: Any) -> str:
    """Add the wrap at 24 bits: above 2^23 minus 2^24, at or below −2^23 plus 2^24."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    top = graph.constant(f"{output}.top", STATE_END, dtype)
    bottom = graph.constant(f"{output}.bottom", -STATE_END, dtype)
    turn = graph.constant(f"{output}.turn", 2 * STATE_END, dtype)
    above = graph.cast(
        graph.add("Greater", [raw, top], f"{output}.is_above"), kind, f"{output}.above"
    )
    below = graph.cast(
        graph.add("LessOrEqual", [raw, bottom], f"{output}.is_below"), kind, f"{output}.below"
    )
    turns = graph.add("Sub", [below, above], f"{output}.turns")
    shift = graph.add("Mul", [turns, turn], f"{output}.shift")
    return graph.add("Add", [raw, shift], output)
