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
6. Subtractive reset. −v = −x + (vth << 6) · s; the clip above then shows (`upper_clip_shows`), and
   with it nothing beyond 2^23 reaches that sum.
7. Recurrence and dendritic delays (`export.onnx_late`). Wrap and bias follow what they add.
8. Refractory period. How many steps each neuron has left is a state; a membrane is multiplied by 0
   where any are, which takes leak, input and spike away at once. r ← max(r − 1, 0) + R·s.
9. A faulty chip's layer. What dead neurons take is multiplied by 0; where each neuron has a
   threshold of its own, Greater and Where do what ThresholdedRelu does for one a layer, and Less
   what HardSigmoid does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from export.bounds import ALIGN, STATE_END, current_wraps, membrane_clips, upper_clip_shows
from export.network import Array, Conv, Layer, LoihiLIF, Shape
from export.neurons import NO_CURRENT
from export.onnx_late import live, steps_left, waits_in_step, window, with_own_spikes
from export.onnx_nodes import Graph

INPUT, INPUT_TIME_FIRST = "spikes", "spikes_TBCHW"
INT8_INPUT_MAX = 127
"""Largest input of an int8 product: 127 · (128 + 128) < 2^15."""


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
        settings: dict[str, Any] = {"strides": list(synapse.stride), "pads": padding}
        if synapse.dilation != (1, 1) or synapse.groups != 1:
            settings |= {"dilations": list(synapse.dilation), "group": synapse.groups}
        return graph.add("Conv", [operand, weight], f"{name}.product", **settings)
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

    Without a synaptic filter that is wrap24(Σ w·x << 6) + (bias << 6); with one, or where more is
    added in the step, Σ w·x << 6 alone, and nodes of the step wrap and add the bias.
    """
    raw = synapses(graph, layer, x, rows, input_max)
    if filters_current(layer) or _is_late(layer):
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


def _is_late(layer: Layer[LoihiLIF]) -> bool:
    return layer.recurrent is not None or layer.dendrite_delay_N is not None


def filters_current(layer: Layer[LoihiLIF]) -> bool:
    """Whether the layer has a synaptic current that outlives its step, or a bias inside of it."""
    return layer.neuron.current_decay != NO_CURRENT or layer.neuron.bias_filtered


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
    form: str,
) -> tuple[str, list[str]]:
    """Add one step of the neurons of `layer`; return (−x, next −v, u and what is held), `(B, N)`.

    −x is the membrane before the reset, for `fired`. Reads the states by their names and adds
    `.state`: −v in float32 inside of a `sequence`, v in float64 in a `step`; u in float64, what is
    held (`held_states`) in float32.
    """
    name, after = layer.name, []
    share = 4096 - _each(layer.membrane_decay_O, layer.neuron.membrane_decay, neurons)
    kept = _leak(graph, f"{name}.v", share, form == "sequence")
    drive_BN = with_own_spikes(graph, layer, drive_BN)
    held = []
    if waits_in_step(layer, form) and layer.dendrite_delay_N is not None:
        drive_BN, late = window(graph, f"{name}.late", drive_BN, layer.dendrite_delay_N)
        held.append(late)
    if filters_current(layer):
        after = [_current(graph, layer, drive_BN, neurons)]
        x = _filtered_membrane(graph, layer, kept, after[0], neurons)
    else:
        x = _membrane(graph, layer, kept, drive_BN, input_max, neurons)
    if layer.neuron.refractory:
        x = live(graph, layer, x)
    if layer.recurrent is not None or layer.neuron.refractory:
        spikes = _spikes(graph, layer, x, f"{name}.s.after")
        held = [spikes, *held] if layer.recurrent is not None else held
        held += [steps_left(graph, layer, spikes)] if layer.neuron.refractory else []
    return x, [reset(graph, layer, x, f"{name}.v.after"), *after, *held]


def _each(values_O: Array | None, value: int, neurons: int) -> NDArray[np.int64]:
    """Return a register of the layer, `()`, or one of each neuron, `(N,)`."""
    if values_O is None:
        return np.asarray(value, np.int64)
    return np.repeat(values_O.astype(np.int64), neurons // len(values_O))


def _membrane(
    graph: Graph, layer: Layer[LoihiLIF], kept: str, drive_BN: str, input_max: int, neurons: int
) -> str:
    """Add −v of a layer without a synaptic filter, before its reset, in float32."""
    name = layer.name
    if _is_late(layer):
        if current_wraps(layer, input_max):
            drive_BN = _wrap(graph, drive_BN, f"{name}.wrap", np.float32)
        if layer.synapse.bias_O is not None:
            bias = graph.constant(f"{name}.bias", _bias(layer, neurons), np.float32)
            drive_BN = graph.add("Add", [drive_BN, bias], f"{name}.biased")
    x = graph.add("Sub", [kept, drive_BN], f"{name}.membrane")
    if membrane_clips(layer, input_max):
        floor = graph.constant(f"{name}.floor", STATE_END - 1, np.float32)
        x = graph.add("Min", [x, floor], f"{name}.clipped")
    if upper_clip_shows(layer):
        ceiling = graph.constant(f"{name}.ceiling", 1 - STATE_END, np.float32)
        x = graph.add("Max", [x, ceiling], f"{name}.clipped_above")
    return x


def _bias(layer: Layer[LoihiLIF], neurons: int) -> NDArray[np.int64]:
    """Return the bias of each neuron as it meets the membrane."""
    bias_O = np.asarray(layer.synapse.bias_O, np.int64) * ALIGN
    each = np.repeat(bias_O, neurons // len(bias_O))
    return each if layer.alive_N is None else each * layer.alive_N.astype(np.int64)


def reset(graph: Graph, layer: Layer[LoihiLIF], x: str, output: str) -> str:
    """Add −v from −x: where the neuron fires zero, or the threshold more (`subtract`)."""
    if layer.neuron.reset == "subtract":
        vth = layer.neuron.threshold if layer.threshold_N is None else layer.threshold_N
        taken = graph.constant(f"{output}.taken", np.asarray(vth, np.int64) * ALIGN, np.float32)
        spikes = _spikes(graph, layer, x, f"{output}.spikes")
        return graph.add("Add", [x, graph.add("Mul", [spikes, taken], f"{output}.back")], output)
    if layer.threshold_N is None:
        limit = float(-layer.neuron.threshold * ALIGN - 1)
        return graph.add("ThresholdedRelu", [x], output, alpha=limit)
    limit_N = graph.constant(f"{output}.limit_N", _ends(layer.threshold_N) - 1, np.float32)
    silent = graph.add("Greater", [x, limit_N], f"{output}.silent")
    rest = graph.constant(f"{output}.rest", 0, np.float32)
    return graph.add("Where", [silent, x, rest], output)


def fired(graph: Graph, layer: Layer[LoihiLIF], x: str) -> str:
    """Add the spikes, 0 or 1 in float32, from −x."""
    return _spikes(graph, layer, x, f"{layer.name}.fired")


def _spikes(graph: Graph, layer: Layer[LoihiLIF], x: str, output: str) -> str:
    if layer.threshold_N is None:
        limit = float(-layer.neuron.threshold * ALIGN)
        return graph.add("HardSigmoid", [x], output, alpha=-1.0, beta=limit)
    limit_N = graph.constant(f"{output}.limit_N", _ends(layer.threshold_N), np.float32)
    below = graph.add("Less", [x, limit_N], f"{output}.below")
    return graph.cast(below, TensorProto.FLOAT, output)


def _ends(threshold_N: Array) -> Array:
    """Return −(vth << 6) of every neuron."""
    return -threshold_N.astype(np.int64) * ALIGN


def _leak(graph: Graph, state: str, share: NDArray[np.int64], negative: bool) -> str:
    """Add −trunc(v · share / 4096) in float32; −v that is kept whole needs no node."""
    held, output = f"{state}.state", f"{state}_kept"
    if (share == 4096).all():
        if negative:
            return held
        return graph.cast(graph.add("Neg", [held], f"{output}.negative"), TensorProto.FLOAT, output)
    wide = graph.cast(held, TensorProto.DOUBLE, f"{output}.wide") if negative else held
    signed = (1 if negative else -1) * share / 4096
    keep = graph.constant(f"{state}_keep", signed, np.float64)
    product = graph.add("Mul", [wide, keep], f"{output}.product")
    whole = graph.cast(product, TensorProto.INT32, f"{output}.whole")
    return graph.cast(whole, TensorProto.FLOAT, output)


def _current(graph: Graph, layer: Layer[LoihiLIF], drive_BN: str, neurons: int) -> str:
    """Add u ← wrap24(trunc(u · (4096 − du − 1) / 4096) + drive) in float64."""
    name = layer.name
    du = _each(layer.current_decay_O, layer.neuron.current_decay, neurons)
    keep = graph.constant(f"{name}.u_keep", (4096 - du - 1) / 4096, np.float64)
    product = graph.add("Mul", [f"{name}.u.state", keep], f"{name}.u_kept.product")
    whole = graph.cast(product, TensorProto.INT32, f"{name}.u_kept.whole")
    kept = graph.cast(whole, TensorProto.DOUBLE, f"{name}.u_kept")
    wide = graph.cast(drive_BN, TensorProto.DOUBLE, f"{name}.drive.wide")
    raw = graph.add("Add", [kept, wide], f"{name}.current")
    if layer.neuron.bias_filtered and layer.synapse.bias_O is not None:
        bias = graph.constant(f"{name}.u.bias", _bias(layer, neurons), np.float64)
        raw = graph.add("Add", [raw, bias], f"{name}.u.biased")
    return _wrap(graph, raw, f"{name}.u.after", np.float64)


def _filtered_membrane(
    graph: Graph, layer: Layer[LoihiLIF], kept: str, current: str, neurons: int
) -> str:
    """Add −clip24(−kept + u + (bias << 6)) in float64 and return it in float32."""
    name = layer.name
    x = graph.cast(kept, TensorProto.DOUBLE, f"{name}.v_kept.double")
    x = graph.add("Sub", [x, current], f"{name}.membrane")
    if layer.synapse.bias_O is not None and not layer.neuron.bias_filtered:
        bias = graph.constant(f"{name}.bias", _bias(layer, neurons), np.float64)
        x = graph.add("Sub", [x, bias], f"{name}.biased")
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
