"""The synapses of a layer one by one, in the format in which a core would store them.

Axes: `E` synapse, `O` output, `I` input, `H` height, `W` width of a weight, `P` output position.

A convolution stores each synapse that is not zero; the chip can share a kernel's weights among
positions, which is not counted on, so that nothing is said to fit that does not. A dense layer is
stored `dense`, zeros included, or `sparse`, an index with each weight, whichever takes fewer bits.
Where spikes are delayed, by their neuron or by what sums them, each synapse stores for how long.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.network import Conv, Dense, Shape, Synapse
from hardware.loihi_cost.chip import INDEX_BITS

Integers = NDArray[np.int64]
Format = Literal["conv", "dense", "sparse"]
REGISTER_BITS = 9
"""Bits of a signed weight (Davies et al. 2018, p. 87: one to nine bits)."""


@dataclass(frozen=True, eq=False)
class Connections:
    """The stored synapses of a layer: neurons in (C, H, W) order, weights as in the file.

    `synapse_bits` is what one of them takes in a core's memory, `delay_bits` of it for its delay.
    """

    sources_E: Integers
    targets_E: Integers
    weights_E: Integers
    format: Format
    weight_bits: int
    sources: int
    targets: int
    delay_bits: int = 0

    @property
    def synapse_bits(self) -> int:
        """Bits of a stored synapse: weight and delay, its target unless the format implies it."""
        return self.weight_bits + self.delay_bits + (0 if self.format == "dense" else INDEX_BITS)


def connections(synapse: Synapse, input_shape: Shape, longest_delay: int = 0) -> Connections:
    """Return the synapses that a core would store for one layer.

    `longest_delay` is that of any of them, in steps.
    """
    bits, delay_bits = weight_bits(synapse.weight), longest_delay.bit_length()
    sizes = math.prod(input_shape), math.prod(synapse.output_shape(input_shape))
    if isinstance(synapse, Conv):
        found = _conv_synapses(synapse, input_shape)
        return Connections(*found, "conv", bits, *sizes, delay_bits)
    kind = _dense_format(synapse, bits + delay_bits)
    stored_OI = np.ones_like(synapse.weight_OI) if kind == "dense" else synapse.weight_OI
    targets_E, sources_E = np.nonzero(stored_OI)
    weights_E = synapse.weight_OI[targets_E, sources_E].astype(np.int64)
    return Connections(sources_E, targets_E, weights_E, kind, bits, *sizes, delay_bits)


def weight_bits(weight: NDArray[Any]) -> int:
    """Return the bits of a signed weight without the low ones that are zero in all of them."""
    union = int(np.bitwise_or.reduce(np.abs(weight.astype(np.int64)), axis=None))
    low = (union & -union).bit_length() - 1 if union else REGISTER_BITS - 1
    return REGISTER_BITS - min(low, REGISTER_BITS - 1)


def _dense_format(synapse: Dense, bits: int) -> Format:
    present = np.count_nonzero(synapse.weight_OI)
    return "sparse" if present * (bits + INDEX_BITS) < synapse.weight_OI.size * bits else "dense"


def _conv_synapses(synapse: Conv, input_shape: Shape) -> tuple[Integers, Integers, Integers]:
    """Return sources, targets and weights of every synapse that is not zero."""
    _, rows, columns = input_shape
    _, out_rows, out_columns = synapse.output_shape(input_shape)
    (stride_h, stride_w), (pad_h, pad_w) = synapse.stride, synapse.padding
    (gap_h, gap_w), (outputs, share) = synapse.dilation, synapse.weight_OIHW.shape[:2]
    output, place, tap_h, tap_w = (axis[:, None] for axis in np.nonzero(synapse.weight_OIHW))
    channel = output // (outputs // synapse.groups) * share + place
    row_P, column_P = (axis.reshape(1, -1) for axis in np.indices((out_rows, out_columns)))
    row = tap_h * gap_h + row_P * stride_h - pad_h
    column = tap_w * gap_w + column_P * stride_w - pad_w
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    source = (channel * rows + row) * columns + column
    target = (output * out_rows + row_P) * out_columns + column_P
    weight = synapse.weight_OIHW[output, place, tap_h, tap_w].astype(np.int64)
    return source[inside], target[inside], np.broadcast_to(weight, source.shape)[inside]
