"""Fixed-point networks in ONNX, built from the contract.

Axes: `B` batch, `T` time step, `C` channel, `H` height, `W` width, `N` neuron.

Two forms, both with a free batch:

    step      spikes (B, C, H, W) uint8, states <layer>.v and, with a synaptic filter, <layer>.u
              (B, N) int32 → output (B, N), states <layer>.v.next, <layer>.u.next; so are a
              recurrent layer's spikes <layer>.s, the steps left of a refractory period
              <layer>.rest, and with delays up to D what waits in <layer>.late (before the neurons)
              and <layer>.axon (behind them), (B, D·N)
    sequence  spikes (B, T, C, H, W) uint8 → output (B, T, N), and spikes/<layer> (B, T, N) uint8
              for every layer; T is free too

`output` holds spikes (uint8) for a `count` readout and membranes after the reset (int32) for
`membrane`. In the sequence form a layer's synapses are one product over T·B rows and its neurons a
Scan over T.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from export.bounds import STATE_END, current_peak, largest_sum
from export.errors import HardspikeError
from export.files import write_bytes
from export.metadata import describe
from export.network import Conv, FixedPointNetwork, Layer, LoihiLIF, Shape
from export.onnx_graph import (
    INPUT,
    INPUT_TIME_FIRST,
    as_bytes,
    drive,
    fired,
    neuron,
    reset,
    states,
)
from export.onnx_late import held_states, longest, shifted, waits_in_step, window
from export.onnx_nodes import Graph
from export.registers import register_faults

SCHEMA = "hardspike.onnx/1"
OPSET, IR_VERSION = 21, 10
_CURRENT_END = (1 << 31) - 2 * STATE_END
_HELD_KIND = {
    "v": TensorProto.FLOAT,
    "u": TensorProto.DOUBLE,
    "s": TensorProto.FLOAT,
    "late": TensorProto.FLOAT,
    "rest": TensorProto.FLOAT,
}
"""Of the states inside a Scan, where v is held negative (`export.onnx_graph`)."""
_HELD_IN_STEP = {**_HELD_KIND, "v": TensorProto.DOUBLE}


def write_step(network: FixedPointNetwork, path: Path) -> None:
    """Write one time step, states in and out; the same network gives the same bytes.

    Raises:
        HardspikeError: a number overruns its register or a sum its bits (one line each), or the
            file cannot be written.
    """
    graph, x = Graph(), INPUT
    inputs = [value_info(INPUT, TensorProto.UINT8, "B", *network.input_shape)]
    outputs, last_v, last = [], "", INPUT
    for layer, rows, size, input_max in layer_inputs(network):
        raw = drive(graph, layer, x, rows, input_max)
        drive_BN = graph.reshape(raw, (-1, size), f"{layer.name}.drive_BN")
        sizes = _state_sizes(layer, size, "step")
        for state, width in sizes.items():
            _add_state(graph, inputs, state, width, _HELD_IN_STEP[state.rsplit(".", 1)[-1]])
        before, (negative_v, *after) = neuron(graph, layer, drive_BN, input_max, size, form="step")
        last = x = fired(graph, layer, before)
        after_v = graph.add("Neg", [negative_v], f"{layer.name}.v.positive")
        if layer.delay_N is not None and layer is not network.layers[-1] and longest(layer.delay_N):
            axon = f"{layer.name}.axon"
            sizes[axon] = longest(layer.delay_N) * size
            _add_state(graph, inputs, axon, sizes[axon], TensorProto.FLOAT)
            x, waiting = window(graph, axon, x, layer.delay_N)
            after.append(waiting)
        for (state, width), value in zip(sizes.items(), [after_v, *after], strict=True):
            following = graph.cast(value, TensorProto.INT32, f"{state}.next")
            outputs.append(value_info(following, TensorProto.INT32, "B", width))
        last_v = f"{layer.name}.v.next"
    if network.readout == "count":
        graph.add("Identity", [as_bytes(graph, last, "output.bytes")], "output")
    else:
        graph.add("Identity", [last_v], "output")
    outputs.insert(
        0, value_info("output", _output_kind(network), "B", math.prod(network.shapes[-1]))
    )
    write_model(network, "step", graph, inputs, outputs, path)


def _state_sizes(layer: Layer[LoihiLIF], size: int, form: str) -> dict[str, int]:
    """Return the states of the neurons by name, in the order in which `neuron` returns them."""
    return {**dict.fromkeys(states(layer), size), **held_states(layer, size, form)}


def _add_state(
    graph: Graph, inputs: list[onnx.ValueInfoProto], state: str, width: int, kind: int
) -> None:
    inputs.append(value_info(state, TensorProto.INT32, "B", width))
    graph.cast(state, kind, f"{state}.state")


def write_sequence(network: FixedPointNetwork, path: Path) -> None:
    """Write all time steps at once; see `write_step`."""
    graph = Graph()
    last_first = [1, 0, *range(2, 2 + len(network.input_shape))]
    graph.add("Transpose", [INPUT], INPUT_TIME_FIRST, perm=last_first)
    graph.add("Shape", [INPUT_TIME_FIRST], "shape_TB", start=0, end=2)
    graph.add("Shape", [INPUT], "shape_B", start=0, end=1)
    rest = graph.constant("rest", [-1], "int64")
    graph.add("Concat", ["shape_TB", rest], "shape_TBN", axis=0)
    x = INPUT_TIME_FIRST
    outputs = [value_info("output", _output_kind(network), "B", "T", math.prod(network.shapes[-1]))]
    for layer, rows, size, input_max in layer_inputs(network):
        raw = drive(graph, layer, x, rows, input_max)
        before = _scan(graph, layer, raw, size, input_max)
        x = fired(graph, layer, before)
        last = _batch_first(graph, x, f"spikes/{layer.name}", TensorProto.UINT8)
        if layer is not network.layers[-1]:
            x = shifted(graph, x, layer.delay_N, f"{layer.name}.sent")
        outputs.append(value_info(last, TensorProto.UINT8, "B", "T", size))
    if network.readout == "count":
        graph.add("Identity", [last], "output")
    else:
        after = reset(graph, network.layers[-1], before, "negative_membranes_TBN")
        membranes = graph.add("Neg", [after], "membranes_TBN")
        _batch_first(graph, membranes, "output", TensorProto.INT32)
    inputs = [value_info(INPUT, TensorProto.UINT8, "B", "T", *network.input_shape)]
    write_model(network, "sequence", graph, inputs, outputs, path)


def _batch_first(graph: Graph, values_TBN: str, output: str, kind: int) -> str:
    """Add `(T, B, N)` floats as `(B, T, N)` integers."""
    whole = graph.cast(values_TBN, kind, f"{output}.whole")
    return graph.add("Transpose", [whole], output, perm=[1, 0, 2])


def _scan(graph: Graph, layer: Layer[LoihiLIF], raw: str, size: int, input_max: int) -> str:
    """Add the neurons of `layer` over all steps; return −x, before the reset, `(T, B, N)`."""
    name, body = layer.name, Graph()
    shape_BN = _shape_BN(graph, name, size)
    drive_TBN = graph.add("Reshape", [raw, "shape_TBN"], f"{name}.drive_TBN")
    if not waits_in_step(layer, "sequence"):
        drive_TBN = shifted(graph, drive_TBN, layer.dendrite_delay_N, f"{name}.arrived")
    before, after = neuron(body, layer, f"{name}.drive_BN", input_max, size, form="sequence")
    sizes = _state_sizes(layer, size, "sequence")
    kinds = [_HELD_KIND[state.rsplit(".", 1)[-1]] for state in sizes]
    starts = [
        _zeros(graph, state, kind, shape_BN if width == size else _shape_BN(graph, state, width))
        for (state, width), kind in zip(sizes.items(), kinds, strict=True)
    ]
    held = [
        value_info(f"{state}.state", kind, "B", width)
        for (state, width), kind in zip(sizes.items(), kinds, strict=True)
    ]
    step = helper.make_graph(
        body.nodes,
        f"{name}.step",
        [*held, value_info(f"{name}.drive_BN", TensorProto.FLOAT, "B", size)],
        [
            *(
                value_info(value, kind, "B", width)
                for value, kind, width in zip(after, kinds, sizes.values(), strict=True)
            ),
            value_info(before, TensorProto.FLOAT, "B", size),
        ],
        initializer=body.initializers,
    )
    finals, stacked = [f"{state}.end" for state in sizes], f"{name}.before_TBN"
    graph.nodes.append(
        helper.make_node(
            "Scan",
            [*starts, drive_TBN],
            [*finals, stacked],
            name=f"{name}.scan",
            body=step,
            num_scan_inputs=1,
        )
    )
    return stacked


def _shape_BN(graph: Graph, of: str, width: int) -> str:
    """Add the sizes of a state, unless they are there."""
    shape = f"{of}.shape_BN"
    if all(node.name != shape for node in graph.nodes):
        count = graph.constant(f"{of}.N", [width], "int64")
        graph.add("Concat", ["shape_B", count], shape, axis=0)
    return shape


def _zeros(graph: Graph, state: str, kind: int, shape_BN: str) -> str:
    """Add a state as it is before the first step."""
    zero = helper.make_tensor("zero", kind, [1], [0])
    return graph.add("ConstantOfShape", [shape_BN], f"{state}.start", value=zero)


def layer_inputs(network: FixedPointNetwork) -> Iterator[tuple[Layer[LoihiLIF], Shape, int, int]]:
    """Yield each layer with the shape its input takes (−1 for rows), its size and input's limit."""
    check_exact(network)
    shapes = network.shapes
    for index, layer in enumerate(network.layers):
        given = shapes[index]
        rows = given if isinstance(layer.synapse, Conv) else (math.prod(given),)
        yield layer, (-1, *rows), math.prod(shapes[index + 1]), 1 if index else network.input_max


def check_exact(network: FixedPointNetwork) -> None:
    """Refuse a network whose graph would not be exact.

    Raises:
        HardspikeError: a number overruns its register, a sum float32 or a current 32 bits; one line
            each.
    """
    faults = list(register_faults(network))
    for index, layer in enumerate(network.layers if not faults else ()):
        input_max = 1 if index else network.input_max
        total = largest_sum(layer, input_max)
        peak = current_peak(layer, input_max, network.steps)
        if total >= STATE_END:
            faults.append(
                f"layer {layer.name}: accumulator: found sums up to {total}, "
                f"allowed up to {STATE_END - 1}"
            )
        if peak > _CURRENT_END:
            faults.append(
                f"layer {layer.name}: current: found up to {peak}, allowed up to {_CURRENT_END}"
            )
    if faults:
        raise HardspikeError(*faults)


def value_info(name: str, kind: int, *sizes: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(sizes))


def _output_kind(network: FixedPointNetwork) -> int:
    return TensorProto.UINT8 if network.readout == "count" else TensorProto.INT32


def write_model(
    network: FixedPointNetwork,
    form: str,
    graph: Graph,
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    path: Path,
) -> None:
    main = helper.make_graph(
        graph.nodes, f"hardspike {form}", inputs, outputs, initializer=graph.initializers
    )
    described = describe(network, SCHEMA)
    model = helper.make_model(
        main,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="hardspike",
        producer_version=described["version"],
    )
    helper.set_model_props(model, {**described, "form": form})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise HardspikeError(f"{path}: the network makes no valid ONNX ({error})") from error
    write_bytes(path, model.SerializeToString(deterministic=True))
