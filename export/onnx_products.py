"""The synapse products of a fixed-point network alone in ONNX: what its latency is held against.

Axes: `L` rows, recording times time step; `C` channel, `H` height, `W` width, `I` input.

In the file: for each layer the one node that the sequence form has for its synapses (Conv, MatMul
or MatMulInteger), with the same weights, over all time steps at once. Its input is a graph input in
the type that the node takes (float32, for MatMulInteger uint8), its result a graph output. The
layers do not meet.

Not in the file: neurons and their states, biases, casts, reshapes, transposes, the scaling of
MatMulInteger's sums, and anything that turns one layer's spikes into the next one's input.
"""

import math
from pathlib import Path

from onnx import TensorProto

from export.network import Array, Conv, FixedPointNetwork, Shape
from export.onnx_graph import product, takes_bytes
from export.onnx_model import layer_inputs, value_info, write_model
from export.onnx_nodes import Graph

FORM = "products"


def write_products(network: FixedPointNetwork, path: Path) -> None:
    """Write the products; inputs are `<layer>.input`, outputs `<layer>.product`.

    Raises:
        HardspikeError: a number overruns its register, or the file cannot be written.
    """
    graph = Graph()
    inputs, outputs = [], []
    for layer, rows, size, input_max in layer_inputs(network):
        given = f"{layer.name}.input"
        integer = takes_bytes(layer, input_max)
        kind = TensorProto.UINT8 if integer else TensorProto.FLOAT
        inputs.append(value_info(given, kind, "L", *rows[1:]))
        result = product(graph, layer, given, input_max)
        kind = TensorProto.INT32 if integer else TensorProto.FLOAT
        shape = layer.synapse.output_shape(rows[1:]) if isinstance(layer.synapse, Conv) else (size,)
        outputs.append(value_info(result, kind, "L", *shape))
    write_model(network, FORM, graph, inputs, outputs, path)


def product_inputs(network: FixedPointNetwork, spikes_BTN: dict[str, Array]) -> dict[str, Array]:
    """Return the file's inputs from the spikes that each layer takes, by the layer's name.

    `spikes_BTN[name]` is `(B, T, …)`: for the first layer the recording itself, for the others
    what the layer below fired. Rows run over time steps first, as in the sequence form.
    """
    return {
        f"{layer.name}.input": _operand(
            spikes_BTN[layer.name], rows[1:], "uint8" if takes_bytes(layer, limit) else "float32"
        )
        for layer, rows, _, limit in layer_inputs(network)
    }


def _operand(spikes_BTN: Array, shape: Shape, kind: str) -> Array:
    batch, steps = spikes_BTN.shape[:2]
    rows = spikes_BTN.reshape(batch, steps, math.prod(shape)).swapaxes(0, 1)
    return rows.reshape(batch * steps, *shape).astype(kind)
