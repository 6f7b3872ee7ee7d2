"""What arrives at a layer's neurons: Σ w·x in NumPy, biases, and delayed spikes.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron, `K` synapse of a
patch, `P` position of a convolution, `O` output and `I` input of a weight.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from export.network import Conv, Shape, Synapse

Array = NDArray[Any]


def synapse_product(synapse: Synapse, inputs_BTN: Array, input_shape: Shape, dtype: Any) -> Array:
    """Return Σ w·x for every step at once, `(B, T, N)` in `dtype`, neurons ordered (C, H, W)."""
    batch, steps, _ = inputs_BTN.shape
    if not isinstance(synapse, Conv):
        weight_IO = synapse.weight_OI.T.astype(dtype)
        return np.asarray(inputs_BTN.astype(dtype) @ weight_IO)
    (pad_h, pad_w), groups = synapse.padding, synapse.groups
    image = inputs_BTN.reshape(batch * steps, *input_shape)
    image = np.pad(image, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
    channels, outputs = input_shape[0] // groups, len(synapse.weight_OIHW) // groups
    sums = [
        _convolved(
            synapse,
            image[:, group * channels : (group + 1) * channels],
            synapse.weight_OIHW[group * outputs : (group + 1) * outputs],
            dtype,
        )
        for group in range(groups)
    ]
    return np.concatenate(sums, axis=1).reshape(batch, steps, -1)


def _convolved(synapse: Conv, image: Array, weight_OIHW: Array, dtype: Any) -> Array:
    """Return one group's Σ w·x at every position, `(B·T, O, P)`, of a padded image."""
    rows, outputs = len(image), len(weight_OIHW)
    (stride_h, stride_w), (gap_h, gap_w) = synapse.stride, synapse.dilation
    kernel_h, kernel_w = weight_OIHW.shape[2:]
    reach = (gap_h * (kernel_h - 1) + 1, gap_w * (kernel_w - 1) + 1)
    windows = sliding_window_view(image, reach, axis=(2, 3))
    windows = windows[:, :, ::stride_h, ::stride_w, ::gap_h, ::gap_w]
    positions = windows.shape[2] * windows.shape[3]
    patches_PK = windows.transpose(0, 2, 3, 1, 4, 5).reshape(rows * positions, -1)
    weight_KO = weight_OIHW.reshape(outputs, -1).T.astype(dtype)
    sums = (patches_PK.astype(dtype) @ weight_KO).reshape(rows, positions, outputs)
    return np.asarray(sums.transpose(0, 2, 1))


def neuron_bias(synapse: Synapse, neurons: int) -> Array:
    """Return the bias of each neuron, `(N,)`: a convolution's bias repeats over its positions."""
    if synapse.bias_O is None:
        return np.zeros(neurons, synapse.weight.dtype)
    return np.repeat(synapse.bias_O, neurons // len(synapse.bias_O))


def delayed(values_BTN: Array, delay_N: Array | None) -> Array:
    """Return the values as they arrive: neuron n's of step t at t + delay_N[n], zeros before."""
    if delay_N is None:
        return values_BTN
    arriving_BTN, steps = np.zeros_like(values_BTN), values_BTN.shape[1]
    for delay in np.unique(delay_N):
        if delay < steps:
            late = delay_N == delay
            arriving_BTN[:, delay:, late] = values_BTN[:, : steps - delay, late]
    return arriving_BTN
