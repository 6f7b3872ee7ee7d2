"""Synaptic operations: every spike times the synapses that it really reaches.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron. NeuroBench
counts an effective operation where neither the weight nor the activation is zero (Yik et al. 2025,
arXiv 2304.04640); so is it here, with the borders of a convolution taken into account.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import Conv, Shape, Synapse


def fan_out(synapse: Synapse, input_shape: Shape) -> NDArray[np.int64]:
    """Return how many nonzero synapses leave each input neuron, `(N,)` in (C, H, W) order."""
    return _reached(synapse, input_shape, synapse.weight != 0)


def dense_operations(synapse: Synapse, input_shape: Shape) -> int:
    """Return the operations of a step in which every input and every weight counts.

    Zeros that a convolution pads with are no inputs.
    """
    return int(_reached(synapse, input_shape, np.ones(synapse.weight.shape, np.bool_)).sum())


def _reached(synapse: Synapse, input_shape: Shape, present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many synapses leave each input neuron through weights that are `present`."""
    if not isinstance(synapse, Conv):
        return np.asarray(np.count_nonzero(present, axis=0), np.int64)
    grouped = present.reshape(synapse.groups, -1, *present.shape[1:])
    present_CHW = np.count_nonzero(grouped, axis=1).reshape(-1, *present.shape[2:])
    (_, rows, columns), (pad_h, pad_w) = input_shape, synapse.padding
    _, out_rows, out_columns = synapse.output_shape(input_shape)
    (stride_h, stride_w), (gap_h, gap_w) = synapse.stride, synapse.dilation
    reach = np.zeros((input_shape[0], rows + 2 * pad_h, columns + 2 * pad_w), np.int64)
    for i, j in np.ndindex(*present_CHW.shape[1:]):
        row, column = gap_h * i, gap_w * j
        reach[
            :,
            row : row + stride_h * (out_rows - 1) + 1 : stride_h,
            column : column + stride_w * (out_columns - 1) + 1 : stride_w,
        ] += present_CHW[:, i, j, None, None]
    return reach[:, pad_h : pad_h + rows, pad_w : pad_w + columns].reshape(-1)


def synaptic_operations(synapse: Synapse, input_shape: Shape, inputs_BTN: NDArray[Any]) -> int:
    """Return the operations that the inputs of all steps and recordings cause in one layer."""
    spikes_N = np.count_nonzero(inputs_BTN.reshape(-1, inputs_BTN.shape[-1]), axis=0)
    return int(spikes_N.astype(np.int64) @ fan_out(synapse, input_shape))
